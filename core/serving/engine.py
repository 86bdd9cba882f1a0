"""The engine without its wire: versions kept in step with the registry, requests decoded by them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.serving.loading import LiveVersion, VersionLoader
from core.serving.meters import EngineMeters
from core.serving.preparation import Preparation
from core.serving.refresh import Refresher
from core.serving.requests import CompletionRequest, Piece, Ticket
from core.serving.scheduler import Scheduler
from core.serving.sequence import Sequence
from core.serving.servable import VersionSource
from core.serving.store import VersionStore

_JOIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that is being answered, by this version."""

    version: LiveVersion
    ticket: Ticket


class Engine:
    """Two threads: one loads versions, one decodes."""

    def __init__(self, *, source: VersionSource, loader: VersionLoader, memory_bytes: int) -> None:
        self.store = VersionStore()
        self.meters = EngineMeters(self.store)
        self.scheduler = Scheduler(meters=self.meters)
        self._refresher = Refresher(
            store=self.store, source=source, loader=loader, memory_bytes=memory_bytes, meters=self.meters
        )
        self._preparation = Preparation()
        self._threads: list[threading.Thread] = []

    def start(self, *, poll_seconds: float) -> None:
        """Start both threads."""
        self._threads = [
            threading.Thread(target=self._refresher.run, kwargs={"poll_seconds": poll_seconds}, name="refresh"),
            threading.Thread(target=self.scheduler.run, name="decode"),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Stop both threads; requests that are under way fail."""
        self._refresher.stop()
        self.scheduler.stop()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def is_running(self) -> bool:
        """Say whether both threads are alive."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def is_busy(self) -> bool:
        """Say whether anything waits or is being answered."""
        return self.scheduler.is_busy()

    def refresh(self) -> None:
        """Look at the registry now rather than at the next poll."""
        self._refresher.poke()

    def submit(
        self, request: CompletionRequest, listener: Callable[[Piece], None], *, timeout_seconds: float
    ) -> Accepted:
        """Find or load the version and queue the request; ``listener`` hears of it from the decoding thread.

        Raises:
            MissingError: no such version or alias.
            NotReadyError: the version is still loading after ``timeout_seconds``.
            UnavailableError: too many requests wait, or the version cannot be loaded now.
            InvalidError: prompt and answer fit neither the model's context nor the engine's memory.
        """
        arrived_at = time.monotonic()
        if request.timeout_seconds is not None:
            timeout_seconds = min(timeout_seconds, request.timeout_seconds)
        version = self._refresher.acquire(request.model, timeout_seconds=timeout_seconds)
        sequences = self.prepare(request, version, listener)
        if request.timeout_seconds is not None:
            for sequence in sequences:
                sequence.deadline = arrived_at + request.timeout_seconds
        self.scheduler.submit(sequences)
        return Accepted(version, sequences[0].ticket)

    def prepare(
        self, request: CompletionRequest, version: LiveVersion, listener: Callable[[Piece], None]
    ) -> list[Sequence]:
        """Return the answers to a request, still empty, which tell ``listener`` of their pieces.

        Raises:
            InvalidError: as `Preparation.sequences`.
        """
        sequences = self._preparation.sequences(request, version)
        ticket = Ticket(listener, unfinished=len(sequences))
        for sequence in sequences:
            sequence.ticket = ticket
        return sequences
