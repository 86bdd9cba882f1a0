"""Many short requests to a tiny model, with callers who give up, requests that make no sense, and flips all the while.

    python -m benchmarks.serving.soak [--requests 20000] [--callers 8]

Prints one JSON object: what was answered, given up and refused, and what was left behind of memory, file descriptors,
waiting requests and room for answers, which must be nothing. Takes a few minutes.
"""

import argparse
import gc
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import structlog
import torch
from pydantic import ValidationError

from core.domain.errors import StrataError
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from core.serving.requests import CompletionRequest, Piece
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf

_ANSWER_SECONDS: Final = 60.0
_FLIP_SECONDS: Final = 0.2
_PROMPTS: Final = ("The harbour", "Options: basalt, ember, quill", "0 1 2 3 4 5 6 7 8 9 " * 8, "yes")
# The first requests fill pools and caches that later ones use again.
_WARM_SHARE: Final = 0.3


_GIVE_UP: Final = 0.1
# One request in twenty is too long, one makes no sense, four are answered twice.
_KINDS: Final[tuple[dict[str, Any], ...]] = (
    {"prompt": "x" * 4000},
    {"temperature": -1.0},
    *[{"temperature": 1.0, "n": 2, "logprobs": 1}] * 4,
    *[{}] * 14,
)


class Soak:
    """One run over an engine that runs."""

    def __init__(self, engine: Engine, source: SetSource, shelf: Shelf) -> None:
        self._engine = engine
        self._source = source
        self._original = shelf.original("mdl_soak")
        self._versions = [self._original, *(shelf.child(self._original, seed=seed) for seed in range(3))]
        self.reference = source.point("latest", self._original)
        self.outcomes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run(self, *, requests: int, callers: int) -> dict[str, Any]:
        """Ask; return what came of it and what it left behind."""
        began = time.perf_counter()
        self._ask_all(int(requests * _WARM_SHARE), callers)
        before = self._held()
        self._ask_all(requests - int(requests * _WARM_SHARE), callers)
        after = self._held()
        return {
            "requests": requests,
            "seconds": round(time.perf_counter() - began, 1),
            "outcomes": dict(self.outcomes),
            "left_behind": {name: after[name] - before[name] for name in after},
        }

    def _ask_all(self, requests: int, callers: int) -> None:
        ended = threading.Event()
        flipping = threading.Thread(target=self._flip, args=(ended,))
        flipping.start()
        threads = [
            threading.Thread(target=self._ask_some, args=(requests // callers, random.Random(seed)))  # noqa: S311 - a load, no secret
            for seed in range(callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended.set()
        flipping.join()

    def _flip(self, ended: threading.Event) -> None:
        number = 0
        while not ended.wait(_FLIP_SECONDS):
            number += 1
            self._source.point("latest", self._versions[number % len(self._versions)])
            self._engine.refresh()

    def _ask_some(self, requests: int, dice: random.Random) -> None:
        for _ in range(requests):
            outcome = self._one(dice)
            with self._lock:
                self.outcomes[outcome] += 1

    def _one(self, dice: random.Random) -> str:
        done = threading.Event()
        last: list[Piece] = []

        def hear(piece: Piece) -> None:
            if piece.is_last:
                last.append(piece)
                done.set()

        try:
            request = CompletionRequest.model_validate({"model": self.reference, **_fields(dice)})
            accepted = self._engine.submit(request, hear, timeout_seconds=_ANSWER_SECONDS)
        except ValidationError:
            return "refused: invalid"
        except StrataError as error:
            return f"refused: {error.code}"
        if dice.random() < _GIVE_UP:
            accepted.ticket.cancel()
            return "given up"
        if not done.wait(_ANSWER_SECONDS):
            return "never answered"
        return "failed" if last[0].error is not None else "answered"

    def _held(self) -> dict[str, int]:
        """Return what a process at rest holds."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self._engine.is_busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        gc.collect()
        process = psutil.Process()
        rooms = {
            id(version.decoder.room): version.decoder.room for version in self._engine.store.live() if version.decoder
        }
        return {
            "resident_bytes": process.memory_info().rss,
            "file_descriptors": process.num_fds(),
            "threads": process.num_threads(),
            "busy": int(self._engine.is_busy()),
            "room_tokens": sum(room.used_tokens() for room in rooms.values()),
        }


def _fields(dice: random.Random) -> dict[str, Any]:
    return {"prompt": dice.choice(_PROMPTS), "max_tokens": dice.randint(1, 6), **dice.choice(_KINDS)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on a tiny model that is made on the spot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--callers", type=int, default=8)
    given = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="strata-soak-") as folder:
        shelf, source = Shelf(Path(folder), tiny_llama(Path(folder) / "base")), SetSource()
        loader = VersionLoader(artefacts=shelf.artefacts, cache=Path(folder) / "cache", device=torch.device("cpu"))
        engine = Engine(source=source, loader=loader, memory_bytes=2**30)
        soak = Soak(engine, source, shelf)
        engine.start(poll_seconds=0.1)
        try:
            print(json.dumps(soak.run(requests=given.requests, callers=given.callers), indent=1))
        finally:
            engine.stop()


if __name__ == "__main__":
    main()
