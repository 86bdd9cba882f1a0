"""Deltas of a chain on this machine: fetched once, verified, and checked to be one chain of one base."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from core.domain.errors import CorruptError, MissingError
from core.domain.identifiers import new_id
from core.domain.manifest import Manifest
from core.domain.ports import ArtefactStore
from core.serving.servable import Link, Servable
from core.storage import durable, manifests
from core.weights.delta import Delta, Shape


class FetchedDeltas:
    """A folder of verified artefacts, each under the SHA-256 of its manifest. One thread uses it.

    Args:
        artefacts: where they are fetched from.
        cache: the folder, this process's own.
    """

    def __init__(self, artefacts: ArtefactStore, cache: Path) -> None:
        self._artefacts = artefacts
        self._cache = cache
        self._intact: set[str] = set()

    def folders(self, servable: Servable) -> list[Path]:
        """Return the verified folder of each delta of a version, oldest first.

        Raises:
            CorruptError: one is gone, or not what was published.
        """
        return [self._folder(link) for link in servable.chain]

    def forget(self) -> None:
        """Trust no copy any more: each is verified again before it is used."""
        self._intact.clear()

    def prune(self, live: set[str]) -> None:
        """Remove fetched artefacts but those whose manifest's SHA-256 is in ``live``."""
        for folder in self._cache.glob("*"):
            if folder.name not in live:
                self._intact.discard(folder.name)
                durable.remove_tree(folder)

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


def deltas(servable: Servable, folders: list[Path], *, shapes: Mapping[str, Shape] | None = None) -> list[Delta]:
    """Return the deltas of a version's folders, which must be its chain on its base.

    Args:
        servable: the version.
        folders: of `FetchedDeltas.folders`.
        shapes: the modules of the base model, where they are known.

    Raises:
        CorruptError: they are another chain's, or do not fit the base.
    """
    sealed = [manifest_of(folder) for folder in folders]
    # The last one names all before it. Those may have been learned on others, which were left out since.
    named = (*sealed[-1].chain, servable.chain[-1].manifest_sha256) if sealed else ()
    is_ours = all(manifest.base_digest == servable.base_digest for manifest in sealed)
    if not is_ours or named != tuple(link.manifest_sha256 for link in servable.chain):
        raise CorruptError("a delta was made for another base or another chain")
    return [
        Delta.load(folder / manifest.delta.file, shapes=shapes)
        for folder, manifest in zip(folders, sealed, strict=True)
    ]


def manifest_of(folder: Path) -> Manifest:
    """Return a version's manifest.

    Raises:
        CorruptError: it describes no version, or one without its files.
    """
    try:
        manifest = Manifest.model_validate_json((folder / manifests.NAME).read_bytes())
    except ValidationError as error:
        raise CorruptError("the manifest does not describe a version") from error
    if not {manifest.delta.file, manifest.canary} <= {file.name for file in manifest.files}:
        raise CorruptError("the manifest does not hold its delta and its canary")
    return manifest


def _is_intact(folder: Path, sha256: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        manifests.verify(folder, sha256=sha256)
    except CorruptError:
        return False
    return True
