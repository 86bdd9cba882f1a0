"""What an engine measures of itself, for Prometheus."""

import time
from collections.abc import Sequence as List
from typing import Any, Final

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from core.serving.sequence import Sequence
from core.serving.store import VersionStore

_WAIT_BOUNDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_FLIP_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BATCH_BOUNDS: Final = (1, 2, 4, 8, 12, 16)


class EngineMeters:
    """Counters of one engine. Requests are told apart by how they ended, never by what they asked."""

    def __init__(self, store: VersionStore) -> None:
        self.registry = CollectorRegistry()
        known: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "strata_engine_requests",
            "Requests that are over: stop, length, cancelled, failed, or refused because too many waited.",
            ("outcome",),
            **known,
        )
        self._tokens = Counter(
            "strata_engine_tokens", "Tokens read (prompt) and written (completion).", ("kind",), **known
        )
        self._batches = Histogram(
            "strata_engine_batch_sequences", "Requests that began together.", buckets=_BATCH_BOUNDS, **known
        )
        self._queue = Histogram(
            "strata_engine_queue_wait_seconds",
            "From a request's arrival to its batch's start.",
            buckets=_WAIT_BOUNDS,
            **known,
        )
        self._first_token = Histogram(
            "strata_engine_time_to_first_token_seconds",
            "From a request's arrival to its first token.",
            buckets=_WAIT_BOUNDS,
            **known,
        )
        self.flip_seconds = Histogram(
            "strata_engine_flip_seconds",
            "From seeing that an alias names another version to answering by it.",
            buckets=_FLIP_BOUNDS,
            **known,
        )
        self.load_failures = Counter(
            "strata_engine_load_failures",
            "Versions that could not be loaded: corrupt, or unavailable for now.",
            ("reason",),
            **known,
        )
        self.waiting = Gauge("strata_engine_requests_waiting", "Requests that wait for a batch.", **known)
        self._gauge("strata_engine_versions", "Versions that answer now.", lambda: len(store.live()))
        self._gauge("strata_engine_weights_bytes", "Tensors of these, shared ones counted once.", store.unique_bytes)
        memory = psutil.Process()
        self._gauge("strata_engine_resident_bytes", "The engine's resident memory.", lambda: memory.memory_info().rss)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry).decode()

    def started(self, sequences: List[Sequence]) -> None:
        """Note that these begin together."""
        self._batches.observe(len(sequences))
        for sequence in sequences:
            self._queue.observe(time.monotonic() - sequence.submitted_at)

    def stepped(self, members: List[Sequence]) -> None:
        """Note that these took a step."""
        for sequence in members:
            if not sequence.begun:
                sequence.begun = True
                self._first_token.observe(time.monotonic() - sequence.submitted_at)
            if sequence.done or sequence.ticket.cancelled:
                self.ended(sequence)

    def ended(self, sequence: Sequence) -> None:
        """Note that a request is over, one way or another."""
        self._requests.labels(sequence.outcome or "cancelled").inc()
        if sequence.begun:
            self._tokens.labels("prompt").inc(len(sequence.prompt))
            self._tokens.labels("completion").inc(sequence.written)

    def refused(self) -> None:
        """Note that a request was turned away."""
        self._requests.labels("refused").inc()

    def _gauge(self, name: str, meaning: str, value: Any) -> None:
        Gauge(name, meaning, registry=self.registry).set_function(value)
