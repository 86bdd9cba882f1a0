"""Builds a version that can answer: the base, loaded once, and the verified deltas of a chain."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from core.domain.base_facts import BaseFacts
from core.domain.errors import CorruptError, MissingError, UnavailableError
from core.domain.identifiers import new_id
from core.domain.manifest import Manifest
from core.domain.ports import ArtefactStore
from core.serving import clone
from core.serving.llama.base import LlamaBase
from core.serving.llama.forward import LlamaDecoder
from core.serving.llama.packing import packed
from core.serving.servable import Link, Servable
from core.storage import durable, manifests
from core.weights import base, canary
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.fold import fold
from core.weights.tokens import end_token_ids


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LiveVersion:
    """A version in memory. Immutable: whoever holds it is answered by exactly this version.

    Attributes:
        module: the network; it shares every tensor that the chain did not touch with the base's other versions.
        end_tokens: ids that end an answer.
        own_bytes: bytes of the tensors that it does not share.
        decoder: what decodes it; None where transformers does.
    """

    version_id: str
    model_id: str
    base_digest: str
    chain: tuple[str, ...]
    module: Any
    tokenizer: Any
    facts: BaseFacts
    end_tokens: frozenset[int]
    own_bytes: int
    decoder: LlamaDecoder | None


class VersionLoader:
    """Loads versions one at a time; bases stay once they are read.

    Args:
        artefacts: where deltas are fetched from.
        cache: the folder of fetched ones.
        device: where versions answer.
        answer_bytes: room for the keys and values of answers under way, of each base.
    """

    def __init__(
        self, *, artefacts: ArtefactStore, cache: Path, device: torch.device, answer_bytes: int = 2**30
    ) -> None:
        self._artefacts = artefacts
        self._cache = cache
        self._device = device
        self._answer_bytes = answer_bytes
        self._bases: dict[str, tuple[LoadedBase, LlamaBase | None]] = {}
        self._intact: set[str] = set()

    def load(self, servable: Servable) -> LiveVersion:
        """Return the version, verified: hashes, names, shapes, finite values, digest and canary logits.

        Raises:
            CorruptError: something of the version does not match; nothing of it is kept.
            UnavailableError: something of its base does not match, which is no fault of the version.
        """
        loaded, known = self._base(servable)
        folders = [self._folder(link) for link in servable.chain]
        deltas = self._deltas(servable, folders, loaded)
        folded = fold(loaded.model, deltas, dtype=loaded.stored_dtype)
        if loaded.digest_with(folded) != servable.digest:
            # Whatever is wrong, the next attempt trusts no copy that was made for this one.
            self._intact.clear()
            raise CorruptError("the folded tensors do not have the published digest")
        if known is not None:
            folded = packed(folded)
        module = clone.with_weights(loaded.model, folded) if folded else loaded.model
        if folders:
            canary.check(folders[-1] / _manifest(folders[-1]).canary, module, loaded.tokenizer, loaded.facts.family)
        return LiveVersion(
            version_id=servable.version_id,
            model_id=servable.model_id,
            base_digest=servable.base_digest,
            chain=tuple(link.manifest_sha256 for link in servable.chain),
            module=module,
            tokenizer=loaded.tokenizer,
            facts=loaded.facts,
            end_tokens=end_token_ids(module, loaded.tokenizer),
            own_bytes=sum(tensor.numel() * tensor.element_size() for tensor in folded.values()),
            decoder=None if known is None else known.decoder(module),
        )

    def prune(self, live: set[str]) -> None:
        """Forget fetched artefacts but those whose manifest's SHA-256 is in ``live``."""
        for folder in self._cache.glob("*"):
            if folder.name not in live:
                self._intact.discard(folder.name)
                durable.remove_tree(folder)

    def _base(self, servable: Servable) -> tuple[LoadedBase, LlamaBase | None]:
        if servable.base_digest not in self._bases:
            try:
                loaded = base.load(servable.base_path, expected_digest=servable.base_digest)
            except CorruptError as error:
                raise UnavailableError(error.detail) from error
            loaded.model.to(self._device)
            known = LlamaBase.of(loaded.model, cache_bytes=self._answer_bytes)
            self._bases[servable.base_digest] = loaded, known
        return self._bases[servable.base_digest]

    def _folder(self, link: Link) -> Path:
        """Return the verified local folder of one delta, fetched if it is not there or not intact.

        What this process verified once is not hashed again: the digest of the folded tensors covers it.
        """
        place = self._cache / link.manifest_sha256
        if link.manifest_sha256 in self._intact and place.is_dir():
            return place
        if not _is_intact(place, link.manifest_sha256):
            durable.remove_tree(place)
            try:
                self._fetch(link, place)
            except CorruptError:
                # Calling a version corrupt takes it out of service for all: one bad copy is not enough for that.
                self._fetch(link, place)
        self._intact.add(link.manifest_sha256)
        return place

    def _fetch(self, link: Link, place: Path) -> None:
        fetched = self._cache / new_id("fetch")
        try:
            self._artefacts.fetch(link.artefact, target=fetched)
            # The store compared the files with the manifest; that it is the right manifest is left to see.
            manifests.read(fetched, sha256=link.manifest_sha256)
            durable.rename(fetched, place)
        except MissingError as error:
            raise CorruptError("an artefact of the chain is gone") from error
        finally:
            durable.remove_tree(fetched)

    def _deltas(self, servable: Servable, folders: list[Path], loaded: LoadedBase) -> list[Delta]:
        sealed = [_manifest(folder) for folder in folders]
        # The last one names all before it. Those may have been learned on others, which were left out since.
        named = (*sealed[-1].chain, servable.chain[-1].manifest_sha256) if sealed else ()
        is_ours = all(manifest.base_digest == servable.base_digest for manifest in sealed)
        if not is_ours or named != tuple(link.manifest_sha256 for link in servable.chain):
            raise CorruptError("a delta was made for another base or another chain")
        shapes = loaded.facts.modules
        return [
            Delta.load(folder / manifest.delta.file, shapes=shapes)
            for folder, manifest in zip(folders, sealed, strict=True)
        ]


def _is_intact(folder: Path, sha256: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        manifests.verify(folder, sha256=sha256)
    except CorruptError:
        return False
    return True


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((folder / manifests.NAME).read_bytes())
    except ValidationError as error:
        raise CorruptError("the manifest does not describe a version") from error
    if not {manifest.delta.file, manifest.canary} <= {file.name for file in manifest.files}:
        raise CorruptError("the manifest does not hold its delta and its canary")
    return manifest
