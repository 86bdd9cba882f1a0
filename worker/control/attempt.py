"""One attempt at a claimed job: stage, supervise, settle, tidy up."""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, LostLeaseError, StrataError
from core.domain.job_folder import ExitCode, JobFolder
from core.storage import durable
from worker.control import checkpoints
from worker.control.checkpoints import CheckpointCopies
from worker.control.context import StopRequested, WorkerContext
from worker.control.desk import Claim
from worker.control.environment import compute_environment
from worker.control.event_tail import EventTail
from worker.control.heart import Heart
from worker.control.kinds import KINDS, Kind
from worker.control.process import ComputeProcess
from worker.control.supervisor import Ending, EndReason, Supervisor
from worker.control.verdicts import failure_of, why_try_again

log = structlog.get_logger()

# What is still being copied after that long is garbage when it arrives, and collected later.
_LAST_COPY_SECONDS: Final = 30.0


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
        job_id, fence = self.claim.job.id, self.claim.fence
        folder = JobFolder(self.context.jobs_dir / job_id / str(fence))
        with CheckpointCopies(self.context.checkpoints, job_id=job_id, fence=fence, folder=folder) as copies:
            try:
                over = self._run_in(folder, copies)
            except LostLeaseError as error:
                log.warning("job.lost", job_id=job_id, fence=fence, reason=error.detail)
                over = False
        if over:
            copies.finish(seconds=_LAST_COPY_SECONDS)
            checkpoints.forget(self.context.checkpoints, job_id=job_id)
        try:
            _tidy(folder, over=over)
        except OSError as error:
            log.warning("job.not_tidied", job_id=job_id, fence=fence, error=str(error))

    def _run_in(self, folder: JobFolder, copies: CheckpointCopies) -> bool:
        """Return whether the job is over, rather than back in the queue."""
        kind = KINDS.get(self.claim.job.kind)
        if kind is None:
            return self._fail("unsupported_kind", f"this worker cannot execute {self.claim.job.kind} jobs; update it")
        try:
            folder.root.mkdir(parents=True, exist_ok=True)
            self.heart.insist(lambda: kind.stage(self.claim, self.context, folder=folder, heart=self.heart))
            ending = self._supervise(kind, folder, copies)
            if self._is_complete(ending):
                return self._finish(ending, kind, folder)
            return self._let_go(ending, copies)
        except LostLeaseError:
            raise
        except ConflictError as error:
            return self._cancelled() if error.code == "cancel_requested" else self._fail(error.code, error.detail)
        except StrataError as error:
            return self._fail(error.code, error.detail)
        except Exception as error:  # whatever went wrong in a job must end the job, never the worker
            log.exception("job.broke", job_id=self.claim.job.id)
            return self._fail(*_explain(error))

    def _supervise(self, kind: Kind, folder: JobFolder, copies: CheckpointCopies) -> Ending:
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
            checkpointed=copies.announce,
        )
        crash_point("trainer.before")
        process = ComputeProcess(
            [*compute.command, kind.module, str(folder.root)],
            environment=compute_environment(os.environ, compute, online=kind.online),
            log=folder.log,
        )
        crash_point("trainer.after")
        log.info("trainer.started", job_id=self.claim.job.id, fence=self.claim.fence, pid=process.pid)
        ending = supervisor.watch(process, EventTail(folder.events))
        log.info("trainer.ended", job_id=self.claim.job.id, reason=ending.reason, exit_code=ending.exit_code)
        return ending

    def _is_complete(self, ending: Ending) -> bool:
        if ending.reason is EndReason.LOST:
            raise LostLeaseError("the lease ran out while the trainer was running")
        # Also when it was just told to stop: what is complete is not thrown away.
        return ending.exit_code == ExitCode.OK and ending.reason is not EndReason.CANCELLED

    def _finish(self, ending: Ending, kind: Kind, folder: JobFolder) -> bool:
        kind.finish(self.claim, self.context, folder=folder, heart=self.heart, scores=ending.scores)
        log.info("job.finished", job_id=self.claim.job.id, fence=self.claim.fence)
        return True

    def _let_go(self, ending: Ending, copies: CheckpointCopies) -> bool:
        if ending.reason is EndReason.CANCELLED or self.heart.cancel_requested:
            return self._cancelled()
        event, put_back = self._way_back(ending)
        if put_back is None:
            failure = failure_of(ending)
            return self._fail(failure.code, failure.detail)
        # Whoever takes the job next shall find the checkpoint that the trainer wrote on its way out.
        copies.finish(unless=lambda: self.heart.lost)
        self.heart.insist(put_back)
        log.info(event, job_id=self.claim.job.id, fence=self.claim.fence, reason=ending.reason)
        return False

    def _way_back(self, ending: Ending) -> tuple[str, Callable[[], None] | None]:
        """Return how the job goes back to where somebody can claim it, and what the log says; None if it does not."""
        desk, claim = self.context.desk, self.claim
        if ending.reason is EndReason.PAUSED:
            return "job.paused", lambda: desk.confirm_paused(claim)
        if ending.reason is EndReason.STOPPED:
            return "job.released", lambda: desk.release(claim)
        if why := why_try_again(ending):
            return "job.given_up", lambda: desk.give_up(claim, reason=why)
        return "job.failed", None

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
        for bulky in (attempt.data, attempt.chain, attempt.out, attempt.copies):
            durable.remove_tree(bulky)
        if over:
            durable.remove_tree(attempt.checkpoints)
