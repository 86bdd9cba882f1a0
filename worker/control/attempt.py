"""One attempt at a claimed job: stage, supervise, settle, tidy up."""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, LostLeaseError, StrataError
from core.domain.job_folder import ExitCode, JobFolder
from core.storage import durable
from worker.control.context import StopRequested, WorkerContext
from worker.control.desk import Claim
from worker.control.environment import compute_environment
from worker.control.event_tail import EventTail
from worker.control.heart import Heart
from worker.control.kinds import KINDS, Kind
from worker.control.process import ComputeProcess
from worker.control.supervisor import Ending, EndReason, Supervisor
from worker.control.verdicts import failure_of, was_interrupted

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A claim and everything it takes to carry it through."""

    context: WorkerContext
    claim: Claim
    heart: Heart
    stop_requested: StopRequested
    chores: Callable[[], None]

    def run(self) -> None:
        """Carry the job to its end, or as far as this worker may."""
        folder = JobFolder(self.context.jobs_dir / self.claim.job.id / str(self.claim.fence))
        try:
            over = self._run_in(folder)
        except LostLeaseError as error:
            log.warning("job.lost", job_id=self.claim.job.id, fence=self.claim.fence, reason=error.detail)
            over = False
        try:
            _tidy(folder, over=over)
        except OSError as error:
            log.warning("job.not_tidied", job_id=self.claim.job.id, fence=self.claim.fence, error=str(error))

    def _run_in(self, folder: JobFolder) -> bool:
        """Return whether the job is over, rather than back in the queue."""
        kind = KINDS.get(self.claim.job.kind)
        if kind is None:
            return self._fail("unsupported_kind", f"this worker cannot execute {self.claim.job.kind} jobs; update it")
        try:
            folder.root.mkdir(parents=True, exist_ok=True)
            kind.stage(self.claim, self.context, folder=folder, heart=self.heart)
            return self._settle(self._supervise(kind, folder), kind, folder)
        except LostLeaseError:
            raise
        except ConflictError as error:
            return self._cancelled() if error.code == "cancel_requested" else self._fail(error.code, error.detail)
        except StrataError as error:
            return self._fail(error.code, error.detail)
        except Exception as error:  # whatever went wrong in a job must end the job, never the worker
            log.exception("job.broke", job_id=self.claim.job.id)
            return self._fail(*_explain(error))

    def _supervise(self, kind: Kind, folder: JobFolder) -> Ending:
        compute, timings = self.context.compute, self.context.timings
        left = self.claim.seconds_left
        supervisor = Supervisor(
            desk=self.context.desk,
            claim=self.claim,
            heart=self.heart,
            timings=timings,
            deadline=time.monotonic() + (timings.run if left is None else left),
            stop_requested=self.stop_requested,
            chores=self.chores,
        )
        crash_point("trainer.before")
        process = ComputeProcess(
            [*compute.command, kind.module, str(folder.root)],
            environment=compute_environment(os.environ, compute, online=kind.online),
            log=folder.log,
        )
        crash_point("trainer.after")
        log.info("trainer.started", job_id=self.claim.job.id, fence=self.claim.fence, pid=process.pid)
        return supervisor.watch(process, EventTail(folder.events))

    def _settle(self, ending: Ending, kind: Kind, folder: JobFolder) -> bool:
        log.info("trainer.ended", job_id=self.claim.job.id, reason=ending.reason, exit_code=ending.exit_code)
        if ending.reason is EndReason.LOST:
            raise LostLeaseError("the lease ran out while the trainer was running")
        if ending.exit_code == ExitCode.OK and ending.reason is not EndReason.CANCELLED:
            # Also when it was just told to stop: what is complete is not thrown away.
            kind.finish(self.claim, self.context, folder=folder, heart=self.heart, scores=ending.scores)
            log.info("job.finished", job_id=self.claim.job.id, fence=self.claim.fence)
            return True
        if ending.reason is EndReason.CANCELLED or self.heart.cancel_requested:
            return self._cancelled()
        return self._put_back_or_fail(ending)

    def _put_back_or_fail(self, ending: Ending) -> bool:
        desk = self.context.desk
        if ending.reason is EndReason.PAUSED:
            self.heart.insist(lambda: desk.confirm_paused(self.claim))
            log.info("job.paused", job_id=self.claim.job.id)
            return False
        if ending.reason is EndReason.STOPPED:
            self.heart.insist(lambda: desk.release(self.claim))
            log.info("job.released", job_id=self.claim.job.id)
            return False
        if ending.reason is EndReason.EXITED and was_interrupted(ending.exit_code or 0):
            self.heart.insist(lambda: desk.give_up(self.claim))
            log.warning("job.given_up", job_id=self.claim.job.id, exit_code=ending.exit_code)
            return False
        failure = failure_of(ending)
        return self._fail(failure.code, failure.detail)

    def _cancelled(self) -> bool:
        self.heart.insist(lambda: self.context.desk.confirm_cancelled(self.claim))
        log.info("job.cancelled", job_id=self.claim.job.id)
        return True

    def _fail(self, code: str, detail: str) -> bool:
        self.heart.insist(lambda: self.context.desk.fail(self.claim, code=code, detail=detail))
        log.warning("job.failed", job_id=self.claim.job.id, code=code)
        return True


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full", "the disk of the data folder is full; free some space, then retry the job"
    return "internal_error", f"the worker could not carry out the job ({type(error).__name__}); its log says more"


def _tidy(folder: JobFolder, *, over: bool) -> None:
    """Drop what is bulky; spec, events and log stay. A job that goes on keeps its checkpoints."""
    attempts = [JobFolder(root) for root in folder.root.parent.iterdir()] if over else [folder]
    for attempt in attempts:
        for bulky in (attempt.data, attempt.chain, attempt.out):
            durable.remove_tree(bulky)
        if over:
            durable.remove_tree(attempt.checkpoints)
