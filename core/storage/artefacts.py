"""Published folders (versions, exports) in a local folder: immutable, under server-minted keys, complete or absent."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.domain.errors import MissingError
from core.domain.identifiers import new_id
from core.storage import durable, manifests

# Keys are minted by the server, e.g. versions/<project>/<model>/<manifest sha256>: plain parts, none hidden.
_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")
# What a key begins with: <kind>/<project>/<model>/<manifest sha256>.
KINDS: Final = ("exports", "versions")
PIECE_BYTES: Final = 1024 * 1024
# Folders on their way in or out; what lies here for long was left by a crash.
STAGING: Final = ".staging"


class LocalArtefactStore:
    """The `core.domain.ports.ArtefactStore` of one folder.

    A folder is copied beside its place, forced to disk and renamed into it: a reader never meets half of one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, folder: Path, *, key: str) -> None:
        """Copy the sealed ``folder`` under ``key`` and verify the copy; the same content again is no error.

        Raises:
            CorruptError: ``folder`` does not match its manifest, or ``key`` holds other content.
        """
        place = self._place(key)
        manifests.read(folder)
        identity = manifests.sha256_of(folder / manifests.NAME)
        if not place.is_dir():
            self._install(folder, place)
        manifests.verify(place, sha256=identity)

    def fetch(self, key: str, *, target: Path) -> None:
        """Copy the folder of ``key`` to ``target`` and verify every file of the copy.

        Raises:
            MissingError: there is no such artefact.
            CorruptError: it does not match its manifest.
        """
        manifests.verify(self._copy(self.path(key), target))

    def path(self, key: str) -> Path:
        """Return where ``key`` lies, to be read only.

        Raises:
            MissingError: there is no such artefact.
        """
        place = self._place(key)
        if not manifests.is_complete(place):
            raise MissingError("the version's artefact is not stored here", code="artefact_not_found")
        return place

    def stream(self, key: str, name: str, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes ``first`` to ``last``, both included, of one file of ``key``, in pieces.

        Raises:
            MissingError: there is no such file.
        """
        file = self.path(key) / name
        if not file.is_file():
            raise MissingError("the artefact's file is not stored here", code="artefact_not_found")
        return _pieces(file, first=first, last=last)

    def delete(self, key: str) -> None:
        """Remove ``key`` and all below it; no error when it is absent."""
        place = self._place(key)
        if place.is_dir():
            doomed = self._root / STAGING / new_id("del")
            durable.move(place, doomed)
            durable.remove_tree(doomed)

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the keys of versions and exports that were not written to for so long."""
        latest = time.time() - older_than_seconds
        for place in sorted(place for kind in KINDS for place in self._root.glob(f"{kind}/*/*/*")):
            if place.is_dir() and place.stat().st_mtime <= latest:
                yield place.relative_to(self._root).as_posix()

    def abort_uploads(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield nothing: what breaks off here lies in the staging folder, and is scratch."""
        del older_than_seconds
        yield from ()

    def _install(self, folder: Path, place: Path) -> None:
        staged = self._root / STAGING / new_id("put")
        try:
            manifests.verify(self._copy(folder, staged))
            durable.sync_tree(staged)
            durable.move(staged, place)
        except OSError:
            # Another publisher of this key was faster: what lies there now is checked by the caller.
            if not place.is_dir():
                raise
        finally:
            durable.remove_tree(staged)

    def _copy(self, source: Path, target: Path) -> Path:
        durable.copy_tree(source, target)
        return target

    def _place(self, key: str) -> Path:
        return self._root / require_key(key)


def _pieces(file: Path, *, first: int, last: int) -> Iterator[bytes]:
    left = last - first + 1
    with file.open("rb") as content:
        content.seek(first)
        while left > 0 and (piece := content.read(min(left, PIECE_BYTES))):
            left -= len(piece)
            yield piece


def require_key(key: str) -> str:
    """Return ``key`` if it is one.

    Raises:
        ValueError: it is not made as the server makes keys.
    """
    if not _KEY.match(key):
        raise ValueError("not a key of the artefact store")
    return key
