"""Builds a version that can answer: the base, loaded once, and the verified deltas of a chain."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.domain.base_facts import BaseFacts
from core.domain.errors import CorruptError, UnavailableError
from core.domain.ports import ArtefactStore
from core.serving import clone, fetched
from core.serving.fetched import FetchedDeltas
from core.serving.llama.base import LlamaBase
from core.serving.llama.forward import LlamaDecoder
from core.serving.llama.packing import packed
from core.serving.servable import Servable
from core.weights import base, canary
from core.weights.base import LoadedBase
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
        self._fetched = FetchedDeltas(artefacts, cache)
        self._device = device
        self._answer_bytes = answer_bytes
        self._bases: dict[str, tuple[LoadedBase, LlamaBase | None]] = {}

    def load(self, servable: Servable) -> LiveVersion:
        """Return the version, verified: hashes, names, shapes, finite values, digest and canary logits.

        Raises:
            CorruptError: something of the version does not match; nothing of it is kept.
            UnavailableError: something of its base does not match, which is no fault of the version.
        """
        loaded, known = self._base(servable)
        folders = self._fetched.folders(servable)
        chain = fetched.deltas(servable, folders, shapes=loaded.facts.modules)
        folded = fold(loaded.model, chain, dtype=loaded.stored_dtype)
        if loaded.digest_with(folded) != servable.digest:
            # Whatever is wrong, the next attempt trusts no copy that was made for this one.
            self._fetched.forget()
            raise CorruptError("the folded tensors do not have the published digest")
        if known is not None:
            folded = packed(folded)
        module = clone.with_weights(loaded.model, folded) if folded else loaded.model
        if folders:
            # By what will decode it, where that is known: the proof holds for the answers themselves.
            canary.check(
                folders[-1] / fetched.manifest_of(folders[-1]).canary,
                module,
                loaded.tokenizer,
                loaded.facts.family,
                answer=None if known is None else partial(known.next_logits, module),
            )
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
        self._fetched.prune(live)

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
