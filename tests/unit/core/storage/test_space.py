"""Free space: a job that cannot fit is refused before it starts."""

from pathlib import Path

import pytest

from core.domain.errors import NoRoomError
from core.storage.space import require_free


def test_a_job_that_fits_may_start(tmp_path: Path) -> None:
    require_free(tmp_path, expected_bytes=1, reserve_bytes=0)


def test_a_job_that_does_not_fit_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="free some space") as caught:
        require_free(tmp_path, expected_bytes=1 << 60, reserve_bytes=0)

    assert caught.value.code == "disk_full"
