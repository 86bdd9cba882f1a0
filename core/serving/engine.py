"""The engine without its wire: versions kept in step with the registry, requests decoded by them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.domain.errors import InvalidError, Place
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.meters import EngineMeters
from core.serving.refresh import Refresher
from core.serving.requests import CompletionRequest, Piece, Ticket
from core.serving.scheduler import Scheduler
from core.serving.sequence import Sequence
from core.serving.servable import VersionSource
from core.serving.store import VersionStore
from core.weights.chat import encode_chat
from core.weights.tokens import encode_prompt

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
        # Tokenizers switch between ways of encoding in place: one thread at a time.
        self._encoding = threading.Lock()
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
            InvalidError: the prompt does not fit the model's context.
        """
        version = self._refresher.acquire(request.model, timeout_seconds=timeout_seconds)
        sequence = self.prepare(request, version)
        ticket = sequence.listen(listener)
        self.scheduler.submit(sequence)
        return Accepted(version, ticket)

    def prepare(self, request: CompletionRequest, version: LiveVersion) -> Sequence:
        """Encode a request for a version.

        Raises:
            InvalidError: the prompt does not fit the model's context.
        """
        prompt = self._encode(request, version)
        facts = version.facts
        room = facts.context_tokens if facts.family == "seq2seq" else facts.context_tokens - len(prompt)
        if room < 1 or len(prompt) > facts.context_tokens or not prompt:
            place = "prompt" if request.messages is None else "messages"
            message = f"is {len(prompt)} tokens; the model takes 1 to {facts.context_tokens - 1}"
            raise InvalidError(
                "the prompt does not fit the model's context",
                code="context_length_exceeded",
                places=[Place(loc=(place,), message=message)],
            )
        return Sequence(request, version, prompt, min(request.max_tokens, room))

    def _encode(self, request: CompletionRequest, version: LiveVersion) -> list[int]:
        with self._encoding:
            if request.messages is not None:
                return encode_chat(version.tokenizer, [message.model_dump() for message in request.messages])
            return encode_prompt(version.tokenizer, request.prompt or "", version.facts.family)
