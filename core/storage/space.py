"""Room on disk: better to refuse a job at its start than to lose it at its end."""

import shutil
from pathlib import Path

from core.domain.errors import UnavailableError


def require_free(folder: Path, *, expected_bytes: int, reserve_bytes: int) -> None:
    """Demand room for three times ``expected_bytes`` (written, staged, kept) and ``reserve_bytes`` on top.

    Raises:
        UnavailableError: the file system of ``folder`` has less, with code ``disk_full``.
    """
    needed = 3 * expected_bytes + reserve_bytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        detail = (
            f"the data folder has {free >> 20} MiB free and {needed >> 20} MiB are needed; free some space and retry"
        )
        raise UnavailableError(detail, code="disk_full")
