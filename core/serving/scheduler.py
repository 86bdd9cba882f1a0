"""Decodes what waits: one thread, one step for every batch in turn. Who is in which batch: `core.serving.admission`."""

import threading
import time
from collections import deque
from collections.abc import Sequence as List
from typing import Final

import structlog
import torch

from core.domain.errors import StrataError, UnavailableError
from core.serving.admission import Running
from core.serving.batches import Batch
from core.serving.meters import EngineMeters
from core.serving.sequence import Sequence

log = structlog.get_logger()

MAX_WAITING: Final = 256
# What torch raises when it cannot compute: a batch fails with it, the next one may well not.
_COMPUTE_ERRORS: Final = (RuntimeError, ValueError, IndexError, TypeError, MemoryError)


class Scheduler:
    """A bounded queue of sequences and the loop that decodes them."""

    def __init__(self, *, meters: EngineMeters, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._meters = meters
        meters.waiting.set_function(lambda: len(self._waiting))
        self._waiting: deque[Sequence] = deque()
        self._running = Running(on_failure=self._fail, failures=_COMPUTE_ERRORS)
        self._changed = threading.Condition()
        self._stopped = False

    def submit(self, sequences: List[Sequence]) -> None:
        """Queue the answers to one request, all or none; their ticket's listener hears of them.

        Raises:
            UnavailableError: code ``engine_busy``: too many wait already; or the engine is stopping.
        """
        with self._changed:
            if self._stopped:
                raise UnavailableError("the engine is stopping")
            if len(self._waiting) + len(sequences) > self._max_waiting:
                self._meters.refused()
                raise UnavailableError("too many requests are waiting", code="engine_busy")
            for sequence in sequences:
                sequence.submitted_at = time.monotonic()
            self._waiting.extend(sequences)
            self._changed.notify()

    def run(self) -> None:
        """Decode until `stop`; the body of the decoding thread."""
        while self._wait_for_work():
            self.tick()
        self._fail_all(UnavailableError("the engine is stopping"))

    def stop(self) -> None:
        """End `run`; what is not yet answered fails."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def is_busy(self) -> bool:
        """Say whether anything waits or is being answered."""
        return bool(self._waiting or self._running)

    def load(self) -> int:
        """Return how many sequences wait or are being answered."""
        return len(self._waiting) + sum(len(batch.sequences) for batch in self._running.batches())

    def tick(self) -> None:
        """Start what may start, then give every batch one step."""
        self._admit()
        for batch in self._running.batches():
            self._step(batch)
        self._running.drop_empty()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting or self._running)
            return not self._stopped

    def _admit(self) -> None:
        with self._changed:
            waiting = list(self._waiting)
        over = [sequence for sequence in waiting if sequence.is_over]
        for sequence in over:
            self._meters.ended(sequence)
        begun = self._running.admit(sequence for sequence in waiting if not sequence.done and sequence not in over)
        gone = {*over, *(sequence for together in begun for sequence in together)}
        with self._changed:
            self._waiting = deque(sequence for sequence in self._waiting if sequence not in gone)
        for together in begun:
            self._meters.started(together)

    def _step(self, batch: Batch) -> None:
        members = batch.sequences
        try:
            with torch.inference_mode():
                batch.step()
        except _COMPUTE_ERRORS as error:
            batch.clear()
            self._fail(members, error)
        else:
            self._meters.stepped(members)

    def _fail_all(self, error: StrataError) -> None:
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
        running = [sequence for batch in self._running.batches() for sequence in batch.sequences]
        for batch in self._running.batches():
            batch.clear()
        self._running.drop_empty()
        for sequence in [*running, *waiting]:
            sequence.fail(error)
            self._meters.ended(sequence)

    def _fail(self, sequences: List[Sequence], error: Exception) -> None:
        log.error("engine.batch_failed", sequences=len(sequences), exc_info=error)
        for sequence in sequences:
            if not sequence.done:
                sequence.fail(StrataError("the answer could not be computed", code="generation_failed"))
            self._meters.ended(sequence)
