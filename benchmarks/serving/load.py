"""Answers that are asked for at the same moment, and how their tokens came."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from core.serving.engine import Engine
from core.serving.requests import CompletionRequest, Piece

ANSWER_SECONDS: Final = 300.0


@dataclass(slots=True)
class Timed:
    """One answer: when it was asked for, when its pieces came, and what it was."""

    asked_at: float
    pieces_at: list[float] = field(default_factory=list)
    text: str = ""
    tokens: int = 0
    version_id: str = ""
    failure: str | None = None
    complete: threading.Event = field(default_factory=threading.Event)

    def hear(self, piece: Piece) -> None:
        """Note a piece; called on the decoding thread."""
        self.pieces_at.append(time.perf_counter())
        self.text += piece.text
        if piece.usage is not None:
            self.tokens = piece.usage.completion_tokens
        if piece.error is not None:
            self.failure = piece.error.code
        if piece.is_last:
            self.complete.set()

    @property
    def first_token_seconds(self) -> float:
        """From the question to the first piece."""
        return self.pieces_at[0] - self.asked_at

    @property
    def token_seconds(self) -> float:
        """Between two tokens, on average."""
        return (self.pieces_at[-1] - self.pieces_at[0]) / max(self.tokens - 1, 1)


def ask(engine: Engine, model: str, prompt: str, *, max_tokens: int) -> Timed:
    """Ask, without waiting for the answer."""
    request = CompletionRequest(model=model, prompt=prompt, max_tokens=max_tokens)
    timed = Timed(time.perf_counter())
    timed.version_id = engine.submit(request, timed.hear, timeout_seconds=ANSWER_SECONDS).version.version_id
    return timed


def ask_all(engine: Engine, model: str, prompts: Sequence[str], *, max_tokens: int) -> tuple[float, list[Timed]]:
    """Ask everything at once; return the seconds until all was answered, and the answers."""
    began = time.perf_counter()
    answers = [ask(engine, model, prompt, max_tokens=max_tokens) for prompt in prompts]
    for answer in answers:
        if not answer.complete.wait(ANSWER_SECONDS) or answer.failure:
            raise RuntimeError(f"an answer failed: {answer.failure}")
    return time.perf_counter() - began, answers


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, of one value itself."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    """Return ``<name>_p50`` and ``<name>_p99`` in seconds."""
    return {f"{name}_p{percent}": round(percentile(seconds, percent), 4) for percent in (50, 99)}
