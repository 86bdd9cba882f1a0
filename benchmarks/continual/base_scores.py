"""What an untouched base answers, kept between runs: the many runs of a comparison begin with the same scores."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.continual.data import Task
from core.storage import durable


@dataclass(frozen=True, slots=True)
class BaseScores:
    """A folder with one file for each base, set of rows and cut; the name of a file says which.

    Attributes:
        folder: where they are kept; None keeps none.
        asked: what the answers depend on besides the rows: the base's digest, and where prompts and targets are cut.
    """

    folder: Path | None
    asked: tuple[str | int, ...] = ()

    def right(self, task: Task, score: Callable[[Task], str]) -> str:
        """Return one digit a held-out row of the task, taken by ``score`` unless it is kept here."""
        if self.folder is None:
            return score(task)
        rows = [asdict(row) for row in task.held_out]
        key = hashlib.sha256(json.dumps([self.asked, rows]).encode()).hexdigest()
        file = self.folder / f"{task.name}-{key[:16]}.txt"
        if not file.is_file():
            found = score(task)
            durable.make_folder(self.folder)
            durable.write_bytes(file, found.encode())
        return file.read_text(encoding="utf-8")
