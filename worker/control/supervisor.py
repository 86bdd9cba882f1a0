"""Watches over one running computation until it ends, by itself or because it must."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from core.domain.errors import LostLeaseError, UnavailableError
from core.domain.job_folder import ErrorEvent, Event, ScoreEvent
from worker.control.context import StopRequested, Timings
from worker.control.desk import Claim, Desk
from worker.control.event_tail import EventTail
from worker.control.heart import Heart
from worker.control.process import ComputeProcess

log = structlog.get_logger()


class EndReason(StrEnum):
    """Why the computation is over."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a computation ended, and what it had said until then."""

    reason: EndReason
    exit_code: int | None
    scores: tuple[ScoreEvent, ...] = ()
    error: ErrorEvent | None = None


@dataclass(slots=True)
class Reports:
    """The trainer's events on their way to the registry: batched, and kept while the registry is away."""

    tail: EventTail
    send: Callable[[list[Event]], None]
    every_seconds: float
    scores: list[ScoreEvent] = field(default_factory=list)
    error: ErrorEvent | None = None
    heard_at: float = field(default_factory=time.monotonic)
    _waiting: list[Event] = field(default_factory=list)
    _sent_at: float = 0.0

    def collect(self) -> None:
        """Read what is new, and send it if the last time was long enough ago."""
        events = self.tail.read()
        if events:
            self.heard_at = time.monotonic()
        for event in events:
            if isinstance(event, ScoreEvent):
                self.scores.append(event)
            elif isinstance(event, ErrorEvent):
                self.error = event
        self._waiting += events
        if self._waiting and time.monotonic() - self._sent_at >= self.every_seconds:
            self.flush()

    def flush(self) -> None:
        """Send what waits; while the registry is away it goes on waiting."""
        if not self._waiting:
            return
        self._sent_at = time.monotonic()
        try:
            self.send(self._waiting)
        except UnavailableError as error:
            log.warning("record.postponed", events=len(self._waiting), error=error.detail)
        else:
            self._waiting = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """Who watches, by what rules.

    Attributes:
        deadline: monotonic time at which the job has run long enough.
        stop_requested: whether this worker itself shall stop.
        chores: what a worker must also do while it watches; called at every look, never raises.
    """

    desk: Desk
    claim: Claim
    heart: Heart
    timings: Timings
    deadline: float
    stop_requested: StopRequested
    chores: Callable[[], None]

    def watch(self, process: ComputeProcess, tail: EventTail) -> Ending:
        """Return how ``process`` ended; by then it and its group are gone."""
        reports = Reports(tail, lambda events: self.desk.record(self.claim, events), self.timings.record)
        try:
            reason = self._wait(process, reports)
            self._end(process, reason)
            reports.collect()
            reports.flush()
        except LostLeaseError:
            reason = EndReason.LOST
        finally:
            # On the way out through an error as well: no trainer outlives its supervision.
            process.kill()
        return Ending(reason, process.exit_code(), tuple(reports.scores), reports.error)

    def _wait(self, process: ComputeProcess, reports: Reports) -> EndReason:
        while process.exit_code() is None:
            reports.collect()
            reason = self._reason_to_stop(reports.heard_at)
            if reason is not None:
                return reason
            self.chores()
            time.sleep(self.timings.tick)
        return EndReason.EXITED

    def _reason_to_stop(self, heard_at: float) -> EndReason | None:
        now = time.monotonic()
        reasons = {
            EndReason.LOST: self.heart.lost,
            EndReason.CANCELLED: self.heart.cancel_requested,
            EndReason.PAUSED: self.heart.pause_requested,
            EndReason.STOPPED: self.stop_requested(),
            EndReason.TIMED_OUT: now >= self.deadline,
            EndReason.STALLED: now - heard_at >= self.timings.stall,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _end(self, process: ComputeProcess, reason: EndReason) -> None:
        if reason is EndReason.LOST:
            raise LostLeaseError("another worker may hold the job by now")
        if reason is not EndReason.EXITED:
            log.info("trainer.stopping", job_id=self.claim.job.id, reason=reason)
            process.stop(grace_seconds=self.timings.grace)
