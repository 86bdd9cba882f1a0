"""Decodes what waits: one thread, batches by version, one token for every batch in turn.

What waits for the same version starts together. A version has at most two batches at a time, so that a long answer
does not hold up the next request, and what arrives meanwhile gathers into the next batch.
"""

import threading
import time
from collections import deque
from typing import Final

import structlog
import torch

from core.domain.errors import StrataError, UnavailableError
from core.serving import batches
from core.serving.batches import Batch
from core.serving.loading import LiveVersion
from core.serving.meters import EngineMeters
from core.serving.sequence import Sequence

log = structlog.get_logger()

MAX_WAITING: Final = 256
MAX_SEQUENCES: Final = 16
# Padded prompt tokens of one batch: bounds the memory and the time of its first step.
MAX_PROMPT_TOKENS: Final = 8192
MAX_BATCHES: Final = 8
MAX_BATCHES_A_VERSION: Final = 2
# What torch raises when it cannot compute: a batch fails with it, the next one may well not.
_COMPUTE_ERRORS: Final = (RuntimeError, ValueError, IndexError, TypeError, MemoryError)


class Scheduler:
    """A bounded queue of sequences and the loop that decodes them."""

    def __init__(self, *, meters: EngineMeters, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._meters = meters
        meters.waiting.set_function(lambda: len(self._waiting))
        self._waiting: deque[Sequence] = deque()
        self._batches: list[tuple[LiveVersion, Batch]] = []
        self._changed = threading.Condition()
        self._stopped = False

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its ticket's listener hears of it.

        Raises:
            UnavailableError: code ``engine_busy``: too many wait already; or the engine is stopping.
        """
        with self._changed:
            if self._stopped:
                raise UnavailableError("the engine is stopping")
            if len(self._waiting) >= self._max_waiting:
                self._meters.refused()
                raise UnavailableError("too many requests are waiting", code="engine_busy")
            sequence.submitted_at = time.monotonic()
            self._waiting.append(sequence)
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

    def tick(self) -> None:
        """Start what may start, then give every batch one step."""
        self._admit()
        for version, batch in list(self._batches):
            self._step(batch)
            if not batch.sequences:
                self._batches.remove((version, batch))

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._stopped or self._waiting or self._batches):
                self._changed.wait()
            return not self._stopped

    def _admit(self) -> None:
        with self._changed:
            chosen = self._choose()
        for version, sequences in chosen:
            self._meters.started(sequences)
            try:
                self._batches.append((version, batches.start(version, sequences)))
            except _COMPUTE_ERRORS as error:
                self._fail(sequences, error)

    def _choose(self) -> list[tuple[LiveVersion, list[Sequence]]]:
        """Take from the queue, in order, what may start now, gathered by version."""
        chosen: dict[int, tuple[LiveVersion, list[Sequence]]] = {}
        later: deque[Sequence] = deque()
        for sequence in self._waiting:
            if sequence.ticket.cancelled:
                self._meters.ended(sequence)
                continue
            version = sequence.version
            group = chosen.get(id(version), (version, []))[1]
            if self._may_start(version, group, sequence, new_batches=len(chosen)):
                chosen[id(version)] = (version, [*group, sequence])
            else:
                later.append(sequence)
        self._waiting = later
        return list(chosen.values())

    def _may_start(self, version: LiveVersion, group: list[Sequence], sequence: Sequence, *, new_batches: int) -> bool:
        if group:
            width = max(len(member.prompt) for member in [*group, sequence])
            return len(group) < MAX_SEQUENCES and width * (len(group) + 1) <= MAX_PROMPT_TOKENS
        of_version = sum(1 for held, _ in self._batches if held is version)
        return of_version < MAX_BATCHES_A_VERSION and len(self._batches) + new_batches < MAX_BATCHES

    def _step(self, batch: Batch) -> None:
        members = batch.sequences
        try:
            with torch.inference_mode():
                batch.step()
        except _COMPUTE_ERRORS as error:
            self._fail(batch.sequences, error)
            batch.sequences = []
        else:
            self._meters.stepped(members)

    def _fail_all(self, error: StrataError) -> None:
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
        running = [sequence for _, batch in self._batches for sequence in batch.sequences]
        self._batches = []
        for sequence in [*running, *waiting]:
            sequence.fail(error)
            self._meters.ended(sequence)

    def _fail(self, sequences: list[Sequence], error: Exception) -> None:
        log.error("engine.batch_failed", sequences=len(sequences), exc_info=error)
        for sequence in sequences:
            if not sequence.done:
                sequence.fail(StrataError("the answer could not be computed", code="generation_failed"))
            self._meters.ended(sequence)
