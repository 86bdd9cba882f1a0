"""Watches over one running computation until it ends, by itself or because it must."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from statistics import median
from typing import Final

import structlog

from core.domain.errors import LostLeaseError, UnavailableError
from core.domain.job_folder import CheckpointEvent, ErrorEvent, Event, ProgressEvent, ScoreEvent
from worker.control.context import StopRequested, Timings
from worker.control.desk import Claim, Desk
from worker.control.event_tail import EventTail
from worker.control.heart import Heart
from worker.control.process import ComputeProcess

log = structlog.get_logger()


# A trainer that is silent for as long as this many of its usual steps has hung, however slow its steps are.
STALLED_STEPS: Final = 20
_REMEMBERED_STEPS: Final = 100


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
class Pace:
    """How long the latest steps took, as this worker saw them arrive; scoring shows itself as steps that repeat."""

    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_STEPS))
    _step: int | None = None
    _at: float = 0.0

    @property
    def seconds(self) -> float:
        """The median duration of a step; 0 before there are two."""
        return median(self._durations) if self._durations else 0.0

    def note(self, step: int, *, at: float) -> None:
        """Note that ``step`` is done ``at`` this monotonic time; steps that arrived together share the time between."""
        if self._step is not None and step > self._step:
            self._durations.append((at - self._at) / (step - self._step))
        if self._step is None or step > self._step:
            self._step, self._at = step, at


@dataclass(slots=True)
class Reports:
    """The trainer's events on their way to the registry: batched, and kept while the registry is away."""

    tail: EventTail
    send: Callable[[list[Event]], None]
    every_seconds: float
    checkpointed: Callable[[int], None] = lambda _: None
    scores: list[ScoreEvent] = field(default_factory=list)
    error: ErrorEvent | None = None
    heard_at: float = field(default_factory=time.monotonic)
    pace: Pace = field(default_factory=Pace)
    _waiting: list[Event] = field(default_factory=list)
    _sent_at: float = 0.0

    def collect(self) -> None:
        """Read what is new, and send it if the last time was long enough ago."""
        events = self.tail.read()
        if events:
            self.heard_at = time.monotonic()
        steps = [event.step for event in events if isinstance(event, ProgressEvent)]
        if steps:
            self.pace.note(max(steps), at=self.heard_at)
        for event in events:
            if isinstance(event, ScoreEvent):
                self.scores.append(event)
            elif isinstance(event, ErrorEvent):
                self.error = event
            elif isinstance(event, CheckpointEvent):
                self.checkpointed(event.step)
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
        checkpointed: told of every step of which the trainer completed a checkpoint; returns at once.
    """

    desk: Desk
    claim: Claim
    heart: Heart
    timings: Timings
    deadline: float
    stop_requested: StopRequested
    chores: Callable[[], None]
    checkpointed: Callable[[int], None] = lambda _: None

    def watch(self, process: ComputeProcess, tail: EventTail) -> Ending:
        """Return how ``process`` ended; by then it and its group are gone."""
        send = partial(self.desk.record, self.claim)
        reports = Reports(tail, send, self.timings.record, self.checkpointed)
        try:
            with self._struck_once_lost(process):
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

    @contextmanager
    def _struck_once_lost(self, process: ComputeProcess) -> Iterator[None]:
        """End the trainer with the claim even while this thread waits for a registry that does not answer."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(self.timings.tick):
                if self.heart.lost:
                    process.strike()
                    return

        watcher = threading.Thread(target=look, name="trust", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _wait(self, process: ComputeProcess, reports: Reports) -> EndReason:
        while process.exit_code() is None:
            reports.collect()
            reason = self._reason_to_stop(reports)
            if reason is not None:
                return reason
            self.chores()
            time.sleep(self.timings.tick)
        return EndReason.EXITED

    def _reason_to_stop(self, reports: Reports) -> EndReason | None:
        now = time.monotonic()
        reasons = {
            EndReason.LOST: self.heart.lost,
            EndReason.CANCELLED: self.heart.cancel_requested,
            EndReason.PAUSED: self.heart.pause_requested,
            EndReason.STOPPED: self.stop_requested(),
            EndReason.TIMED_OUT: now >= self.deadline,
            EndReason.STALLED: now - reports.heard_at >= max(self.timings.stall, STALLED_STEPS * reports.pace.seconds),
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _end(self, process: ComputeProcess, reason: EndReason) -> None:
        if reason is EndReason.LOST:
            raise LostLeaseError("another worker may hold the job by now")
        if reason is not EndReason.EXITED:
            log.info("trainer.stopping", job_id=self.claim.job.id, reason=reason)
            process.stop(grace_seconds=self.timings.grace)
