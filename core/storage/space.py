"""Room on disk: better to refuse a job at its start than to lose it at its end."""

import shutil
from pathlib import Path

from core.domain.errors import NoRoomError


def free_bytes(folder: Path) -> int:
    """Return what is free on the file system of ``folder``, which need not be there yet."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free


def require_free(folder: Path, *, expected_bytes: int, reserve_bytes: int) -> None:
    """Demand room for three times ``expected_bytes`` (written, staged, kept) and ``reserve_bytes`` on top.

    Raises:
        NoRoomError: the file system of ``folder`` has less, with code ``disk_full``.
    """
    needed = 3 * expected_bytes + reserve_bytes
    free = free_bytes(folder)
    if free < needed:
        detail = (
            f"the data folder has {free >> 20} MiB free and {needed >> 20} MiB are needed; free some space and retry"
        )
        raise NoRoomError(detail)
