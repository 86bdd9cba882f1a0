"""Whether a job fits before it begins: on the disk, and in the memory of the device that trains it.

What does not fit ends with a code that says so. A full disk is waited for: before the claim, when jobs are better off in
the queue, and before the publication, when hours of training would be thrown away.
"""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import structlog

from core.domain.errors import ConflictError, LostLeaseError, NoRoomError
from core.storage.space import free_bytes, require_free
from worker.control.context import Compute, WorkerContext
from worker.control.environment import visible_gpu
from worker.control.heart import Heart

log = structlog.get_logger()

_LOOK_SECONDS: Final = 1.0
_DRIVER_SECONDS: Final = 10.0
_MIB: Final = 1 << 20
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


class DiskWatch:
    """Says whether a worker may claim: not with less than the reserve free."""

    def __init__(self, folder: Path, *, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._had_room = True

    def has_room(self) -> bool:
        """Look at the disk, and log when it fills up or empties."""
        free = free_bytes(self._folder)
        has_room = free >= self._reserve_bytes
        if self._had_room and not has_room:
            log.warning("disk.full", free_bytes=free, needed_bytes=self._reserve_bytes)
        elif has_room and not self._had_room:
            log.info("disk.has_room", free_bytes=free)
        self._had_room = has_room
        return has_room


def require_disk(context: WorkerContext, *, expected_bytes: int) -> None:
    """Demand room for what a job is expected to write.

    Raises:
        NoRoomError: there is less, with code ``disk_full``.
    """
    require_free(context.jobs_dir, expected_bytes=expected_bytes, reserve_bytes=context.min_free_bytes)


def await_disk(context: WorkerContext, heart: Heart, out: Path) -> None:
    """Return once there is room to publish ``out``.

    Raises:
        ConflictError: ``cancel_requested``: nobody wants it any more.
        LostLeaseError: another worker may hold the job by now.
    """
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    watch = DiskWatch(context.jobs_dir, reserve_bytes=size + context.min_free_bytes)
    while not watch.has_room():
        if heart.lost:
            raise LostLeaseError("the lease was lost while the disk was full")
        if heart.cancel_requested:
            raise ConflictError("the job shall be cancelled", code="cancel_requested")
        time.sleep(_LOOK_SECONDS)


def require_memory(compute: Compute, surroundings: Mapping[str, str], *, needed_bytes: float) -> None:
    """Refuse a job that is estimated not to fit into its device, rather than let it run into the wall.

    Raises:
        NoRoomError: with code ``insufficient_memory``.
    """
    limit = trainer_memory_bytes(compute, surroundings)
    if limit is None or needed_bytes <= limit:
        return
    detail = (
        f"the job is estimated to need {round(needed_bytes) // _MIB} MiB and a trainer here has {limit // _MIB} MiB; "
        "post the task again with a smaller training.batch_size, fewer training.max_source_tokens or a smaller rank, "
        "or with training.gradient_checkpointing"
    )
    raise NoRoomError(detail, code="insufficient_memory")


def trainer_memory_bytes(compute: Compute, surroundings: Mapping[str, str]) -> int | None:
    """Return what one trainer may take of its device; None where nobody can say."""
    if compute.memory_bytes:
        return compute.memory_bytes
    gpu = visible_gpu(surroundings, compute) if compute.device in {"auto", "cuda"} else ""
    total = _gpu_bytes(gpu, surroundings) if gpu else None
    if total is not None:
        return max(0, total - compute.engine_share_bytes)
    return None if compute.device == "cuda" else _machine_bytes()


def _gpu_bytes(gpu: str, surroundings: Mapping[str, str]) -> int | None:
    """Ask the driver's own tool: this process must not open the device."""
    query = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(  # noqa: S603 - the operator's own setting
            query, env=dict(surroundings), capture_output=True, text=True, timeout=_DRIVER_SECONDS, check=True
        )
        return int(told.stdout.split()[0]) * _MIB
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _machine_bytes() -> int:
    total: int = psutil.virtual_memory().total
    allowed = _CGROUP_LIMIT.read_text(encoding="ascii").strip() if _CGROUP_LIMIT.exists() else ""
    return min(total, int(allowed)) if allowed.isdecimal() else total
