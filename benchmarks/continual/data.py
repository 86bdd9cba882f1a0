"""Tasks as they lie in a folder: ``benchmark.json`` and ``<task>/<split>.jsonl``.

`benchmark.json` holds ``{"tasks": {name: {"question", "options"}}, "orders": {name: [task, ...]}}``; a split's lines
are ``{"text", "label"}``, or ``{"prompt", "completion"}`` of a task without question and options. Where the public data
comes from says docs/how-to/reproduce.md.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from core.datasets.prompt_completion import PromptCompletion
from core.datasets.text_label import TextLabel
from core.learning.rows import Row

Cut = Callable[[str], str]
_CLASSIFIED: Final = TextLabel()
_COMPLETED: Final = PromptCompletion()


@dataclass(frozen=True, slots=True)
class Task:
    """Rows to learn from, and rows to be scored on."""

    name: str
    train: list[Row]
    held_out: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """How much of each task is taken: a task with fewer rows gives all it has.

    Attributes:
        seed: draws the training rows; the rows that are scored are the same for every seed, so that runs can be paired.
        split: the file that is scored.
    """

    train_rows: int
    eval_rows: int
    split: str
    seed: int


@dataclass(frozen=True, slots=True)
class Collection:
    """A folder of tasks."""

    folder: Path
    tasks: dict[str, Any]
    orders: dict[str, list[str]]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read what the folder holds."""
        known = json.loads((folder / "benchmark.json").read_text(encoding="utf-8"))
        return cls(folder, known["tasks"], known["orders"])

    def names(self, order: str) -> list[str]:
        """Return the tasks of an order: a name of `benchmark.json`, or names with commas between them."""
        names = self.orders.get(order) or order.split(",")
        unknown = [name for name in names if name not in self.tasks]
        if unknown:
            raise SystemExit(f"no order and no task {unknown[0]!r}; orders: {', '.join(self.orders)}")
        return names

    def task(self, name: str, portion: Portion, cut: Cut) -> Task:
        """Return one task's rows, rendered as the service renders them, every text shortened by ``cut``."""
        about = self.tasks[name]

        def rendered(split: str, most: int, seed: str) -> list[Row]:
            lines = _lines(self.folder / name / f"{split}.jsonl")
            chosen = random.Random(seed).sample(lines, min(most, len(lines)))  # noqa: S311 - a spread, not a secret
            return [_row(about, line, cut) for line in chosen]

        return Task(
            name,
            rendered("train", portion.train_rows, f"{name} {portion.seed}"),
            rendered(portion.split, portion.eval_rows, name),
        )


def first_tokens(tokenizer: Any, count: int) -> Cut:
    """Return what keeps the first ``count`` tokens of a text."""

    def cut(text: str) -> str:
        ends: Sequence[tuple[int, int]] = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False
        )["offset_mapping"]
        return text if len(ends) <= count else text[: ends[count - 1][1]]

    return cut


def _row(about: dict[str, Any], line: dict[str, str], cut: Cut) -> Row:
    if "text" in line:
        line = {**line, "text": cut(line["text"])}
        example = _CLASSIFIED.render(line, question=about["question"], options=about["options"])
    else:
        example = _COMPLETED.render(line, question=None, options=None)
    return Row(example.prompt, example.target, example.options, example.cut)


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise SystemExit(f"{path} is not there; --eval-split names the file that is scored")
    # A text may hold other characters that end a line elsewhere.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
