"""Whole versions as folders that other servers read: written once, complete under their name."""

from pathlib import Path
from typing import Final

from core.domain.errors import UnavailableError
from core.domain.identifiers import new_id
from core.serving import fetched
from core.serving.fetched import FetchedDeltas
from core.serving.servable import Servable
from core.storage import durable, space
from core.weights.merged import write_merged

_PARTIAL: Final = "partial"


class Snapshots:
    """A folder with a merged folder for each version, by its id, which the servers see too. One process writes it.

    Args:
        folder: where they are.
        deltas: the chains that they are made of.
        reserve_bytes: what must stay free beside them.
    """

    def __init__(self, folder: Path, deltas: FetchedDeltas, *, reserve_bytes: int) -> None:
        self._folder = folder
        self._deltas = deltas
        self._reserve_bytes = reserve_bytes

    def path(self, version_id: str) -> Path:
        """Return where a version is, or would be."""
        return self._folder / version_id

    def write(self, servable: Servable) -> Path:
        """Return the version's folder, written and verified if it is not there yet.

        Raises:
            CorruptError: something of the version is not what was published.
            NoRoomError: the disk has too little room.
            UnavailableError: its base model, which is no fault of the version, is not there or not what it was.
        """
        place = self.path(servable.version_id)
        if place.is_dir():
            return place
        folders = self._deltas.folders(servable)
        size = _size_bytes(servable.base_path)
        # A third of what the check asks room for: one copy is written, and renamed where it is.
        space.require_free(self._folder, expected_bytes=(size + 2) // 3, reserve_bytes=self._reserve_bytes)
        durable.make_folder(self._folder)
        written = self._folder / f".{new_id(_PARTIAL)}"
        try:
            write_merged(
                servable.base_path,
                fetched.deltas(servable, folders),
                written,
                base_digest=servable.base_digest,
                expected_digest=servable.digest,
            )
            durable.rename(written, place)
        finally:
            durable.remove_tree(written)
        durable.sync(self._folder)
        return place

    def prune(self, kept: set[str]) -> None:
        """Remove the snapshots of versions that are not in ``kept``, and what broke off."""
        for folder in [*self._folder.glob("ver_*"), *self._folder.glob(f".{_PARTIAL}_*")]:
            if folder.name not in kept:
                durable.remove_tree(folder)


def _size_bytes(base_path: Path) -> int:
    try:
        return sum(file.stat().st_size for file in base_path.iterdir() if file.is_file())
    except OSError as error:
        raise UnavailableError("the base model's folder is not there") from error
