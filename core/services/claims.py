"""Jobs, as the worker that holds one sees them: claim, beat, record, and every way to let go.

The fence is the claim's number. Each verb here is a compare-and-swap on it: a worker that was presumed dead writes
nothing. Leases only say who is presumed alive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain import job_folder
from core.domain.records import Job
from core.registry.work import Work


@dataclass(frozen=True, slots=True)
class BeatAnswer:
    """What a holder learns from its heartbeat."""

    cancel_requested: bool


def claim(work: Work, *, owner: str, lease_seconds: float) -> Job | None:
    """Take the oldest queued job whose model is free, or None.

    The job starts from the version that its model's `latest` names; one that expected another ends as failed with
    ``parent_conflict``, and the next is tried.
    """
    raise NotImplementedError


def beat(work: Work, *, job_id: str, fence: int, lease_seconds: float) -> BeatAnswer:
    """Renew the lease.

    Raises:
        LostLeaseError: another claim was made, or the job is over: stop, and write nothing.
    """
    raise NotImplementedError


def record(work: Work, *, job_id: str, fence: int, events: Sequence[job_folder.Event]) -> None:
    """Note what the trainer reported: phase, progress, curves, checkpoints. (Scores wait for publication.)

    Raises:
        LostLeaseError: see `beat`.
    """
    raise NotImplementedError


def fail(work: Work, *, job_id: str, fence: int, code: str, detail: str) -> Job:
    """End the job as failed; a failed `inspect` job fails its base model.

    Raises:
        LostLeaseError: see `beat`.
    """
    raise NotImplementedError


def confirm_cancelled(work: Work, *, job_id: str, fence: int) -> Job:
    """End the job as cancelled: its trainer is gone.

    Raises:
        LostLeaseError: see `beat`.
    """
    raise NotImplementedError


def release(work: Work, *, job_id: str, fence: int) -> Job:
    """Put the job back to its place in the queue: the worker stops in good order.

    Raises:
        LostLeaseError: see `beat`.
    """
    raise NotImplementedError


def sweep(work: Work, *, barren_limit: int) -> tuple[Job, ...]:
    """Take jobs away from holders whose lease ran out; return the jobs that were moved. Anyone may run it any time.

    They go back to the queue, or end: as cancelled where that was asked, as failed with ``poison_job`` at the
    ``barren_limit``-th claim in a row without a checkpoint.
    """
    raise NotImplementedError
