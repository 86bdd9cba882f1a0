"""Memory by the number of live versions."""

from typing import Any

import psutil

from benchmarks.serving.load import ask_all
from benchmarks.serving.prompts import PROMPTS
from core.serving.engine import Engine
from tests.tiny_versions import SetSource, Shelf

_MARGIN = 1.05


def rows(engine: Engine, source: SetSource, shelf: Shelf, *, versions: int) -> list[dict[str, Any]]:
    """Make versions live one after another; return the unique and the resident bytes as multiples of the base's."""
    facts = shelf.loaded.facts
    adapted = sum(
        rows * columns
        for name, (rows, columns) in facts.modules.items()
        if name.rsplit(".", 1)[-1] in facts.default_targets
    )
    share = adapted / facts.parameters
    base_bytes, resident = engine.store.unique_bytes(), psutil.Process().memory_info().rss
    found = []
    for number in range(1, versions + 1):
        child = shelf.child(shelf.original(f"mdl_memory_{number}"), seed=number, scale=0.01)
        source.versions[child.version_id] = child
        ask_all(engine, child.version_id, PROMPTS[:1], max_tokens=1)
        found.append(
            {
                "versions": number,
                "unique_ratio": round(engine.store.unique_bytes() / base_bytes, 3),
                "bound": round(1 + _MARGIN * number * share, 3),
                "resident_ratio": round(1 + (psutil.Process().memory_info().rss - resident) / base_bytes, 3),
            }
        )
    return found
