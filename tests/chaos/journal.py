"""The history of a run: what clients asked, what they were answered, and what was done to the service meanwhile.

A line an event, in the order in which they happened. An operation begins with ``invoke`` and ends with one of ``ok``
(it was done), ``fail`` (it was refused, and left nothing) and ``info`` (nobody knows: the answer never came).
"""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ok", "fail", "info"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call and how it ended."""

    id: int
    what: str
    asked: dict[str, Any]
    outcome: Outcome = "info"
    answer: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Written line by line, so that it outlives its own process; read back by the checker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._count = 0
        self._began = time.monotonic()

    def invoke(self, what: str, **asked: Any) -> int:
        with self._lock:
            self._count += 1
            number = self._count
        self._write(type="invoke", id=number, what=what, value=asked)
        return number

    def complete(self, number: int, outcome: Outcome, **answer: Any) -> None:
        self._write(type=outcome, id=number, value=answer)

    def fault(self, name: str, **about: Any) -> None:
        self._write(type="fault", what=name, value=about)

    def close(self) -> None:
        self._file.close()

    def _write(self, **event: Any) -> None:
        line = json.dumps({"at": round(time.monotonic() - self._began, 4), **event})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def read(path: Path) -> list[Operation]:
    """Return every operation of a history; one that never ended is ``info``."""
    found: dict[int, Operation] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["type"] == "invoke":
            found[event["id"]] = Operation(event["id"], event["what"], event["value"])
        elif event["type"] != "fault":
            begun = found[event["id"]]
            found[event["id"]] = Operation(begun.id, begun.what, begun.asked, event["type"], event["value"])
    return list(found.values())
