"""Flips under load: callers ask one alias again and again while it is pointed at one version after another."""

import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, Self

from benchmarks.serving.load import ANSWER_SECONDS, Timed, ask, ask_all, percentile
from benchmarks.serving.prompts import PROMPTS
from core.domain.errors import StrataError
from core.serving.engine import Engine
from core.serving.servable import Servable
from tests.tiny_versions import SetSource, Shelf

CALLERS: Final = 8
_TOKENS: Final = 8
_VERSIONS: Final = 4
# Not less than the engine needs to answer some requests by each version.
_FLIP_SECONDS: Final = 0.5


class Callers:
    """Threads that ask until they are stopped."""

    def __init__(self, engine: Engine, reference: str) -> None:
        self.answers: list[Timed] = []
        self.refusals = 0
        self._engine = engine
        self._reference = reference
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(PROMPTS[place],)) for place in range(CALLERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, prompt: str) -> None:
        while not self._stopped.is_set():
            try:
                answer = ask(self._engine, self._reference, prompt, max_tokens=_TOKENS)
            except StrataError:
                self.refusals += 1
                continue
            answer.complete.wait(ANSWER_SECONDS)
            self.answers.append(answer)


def figures(engine: Engine, source: SetSource, shelf: Shelf, *, flips: int, rollbacks: int) -> dict[str, Any]:
    """Return what flips and rollbacks under load did to answers, and how soon a new version answers without load."""
    versions, live_seconds = _new_versions(engine, source, shelf)
    right = {
        version.version_id: {
            prompt: ask_all(engine, version.version_id, [prompt], max_tokens=_TOKENS)[1][0].text
            for prompt in PROMPTS[:CALLERS]
        }
        for version in versions
    }
    with Callers(engine, f"{versions[0].model_id}:latest") as quiet:
        time.sleep((flips + rollbacks) * _FLIP_SECONDS / 2)
    with Callers(engine, f"{versions[0].model_id}:latest") as busy:
        # A rollback is a flip to where the alias came from.
        for number in [*range(1, flips + 1), *([flips - 1, flips] * rollbacks)[:rollbacks]]:
            source.point("latest", versions[number % len(versions)])
            engine.refresh()
            time.sleep(_FLIP_SECONDS)
    failed = busy.refusals + sum(answer.failure is not None for answer in busy.answers)
    known = set().union(*(set(texts.values()) for texts in right.values()))
    return {
        "count": flips,
        "rollbacks": rollbacks,
        "answers": len(busy.answers),
        "versions_that_spoke": len({answer.version_id for answer in busy.answers}),
        "failed": failed,
        "mixed": sum(answer.text not in set(right[answer.version_id].values()) for answer in busy.answers),
        "distinct_texts": len(known),
        "p99_ratio": round(_p99(busy.answers) / _p99(quiet.answers), 2),
        "live_seconds": round(statistics.median(live_seconds), 3),
    }


def _new_versions(engine: Engine, source: SetSource, shelf: Shelf) -> tuple[list[Servable], list[float]]:
    """Publish versions one by one on a model that answers; return them, and the seconds until each did."""
    original = shelf.original("mdl_flips")
    reference = source.point("latest", original)
    engine.refresh()
    ask_all(engine, reference, PROMPTS[:1], max_tokens=1)
    versions, seconds = [], []
    for number in range(_VERSIONS):
        child = shelf.child(original, seed=100 + number, scale=0.05)
        source.point("latest", child)
        began = time.perf_counter()
        engine.refresh()
        while ask_all(engine, reference, PROMPTS[:1], max_tokens=1)[1][0].version_id != child.version_id:
            continue
        seconds.append(time.perf_counter() - began)
        versions.append(child)
    return versions, seconds


def _p99(answers: Sequence[Timed]) -> float:
    return percentile([answer.pieces_at[-1] - answer.asked_at for answer in answers], 99)
