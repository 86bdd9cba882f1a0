"""The work of a worker: one function that takes the next job and carries it through, and the loop that calls it."""

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, UnavailableError
from worker.control.attempt import Attempt
from worker.control.context import StopRequested, WorkerContext
from worker.control.desk import Desk
from worker.control.heart import Heart
from worker.control.preflight import DiskWatch

log = structlog.get_logger()


def run_next(
    context: WorkerContext,
    *,
    stop_requested: StopRequested,
    chores: Callable[[], None],
) -> bool:
    """Claim the next job that may run and carry it through; return False if there is none.

    Args:
        context: the worker's ports, folders and times.
        stop_requested: asked again and again while the job runs; once True the job goes back to its queue.
        chores: what this worker must also do while a job runs.

    Raises:
        UnavailableError: the registry is away; nothing was claimed.
    """
    claimed_at = time.monotonic()
    crash_point("claim.before")
    try:
        claim = context.desk.claim()
    except ConflictError:
        # Another worker claimed for the same model at the same moment, and won.
        return True
    crash_point("claim.after")
    if claim is None:
        return False
    job = claim.job
    ids = {"job_id": job.id, "fence": claim.fence, "model_id": job.model_id, "project_id": job.project_id}
    beat = partial(context.desk.beat, claim)
    # Every line that is logged until the job is settled tells of which claim of which job it is.
    with bound_contextvars(**ids), Heart(beat, timings=context.timings, claimed_at=claimed_at) as heart:
        log.info("job.claimed", kind=job.kind, claim=job.claims)
        Attempt(context=context, claim=claim, heart=heart, stop_requested=stop_requested, chores=chores).run()
    return True


class Sweeper:
    """Searches for expired leases, at most every so often; calling it more often costs nothing."""

    def __init__(self, desk: Desk, *, every_seconds: float) -> None:
        self._desk = desk
        self._every = every_seconds
        self._due = time.monotonic()

    def __call__(self) -> None:
        """Sweep if it is time; a registry that is away is tried again next time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every
        try:
            moved = self._desk.sweep()
        except (UnavailableError, ConflictError) as error:
            log.warning("sweep.failed", error=error.detail)
            return
        if moved:
            log.info("sweep.moved", jobs=moved)


def run_until_idle(context: WorkerContext, *, stop_requested: StopRequested, sweeper: Sweeper, disk: DiskWatch) -> None:
    """Carry through what is queued until nothing is left, no room is left on the disk, or this worker shall stop."""
    while not stop_requested() and disk.has_room() and run_next(context, stop_requested=stop_requested, chores=sweeper):
        continue


def poll(context: WorkerContext, *, stop: threading.Event) -> None:
    """Look for work until ``stop`` is set: the local dispatcher's other half."""
    sweeper = Sweeper(context.desk, every_seconds=context.timings.sweep)
    disk = DiskWatch(context.jobs_dir, reserve_bytes=context.min_free_bytes)
    while not stop.is_set():
        sweeper()
        context.collect()
        try:
            run_until_idle(context, stop_requested=stop.is_set, sweeper=sweeper, disk=disk)
        except UnavailableError as error:
            log.warning("registry.away", error=error.detail)
        stop.wait(context.timings.poll)
