"""The two example tasks, as they lie in their folders."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

QUESTIONS_A_TASK: Final = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out row, asked aloud: what a person reads, what the model gets, and what it should say."""

    text: str
    prompt: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ExampleTask:
    """One folder: `train.jsonl`, `eval.jsonl` and `task.json`."""

    folder: Path

    @property
    def name(self) -> str:
        """The task's name."""
        return str(self._facts()["name"])

    @property
    def train(self) -> Path:
        """The rows to learn."""
        return self.folder / "train.jsonl"

    @property
    def eval(self) -> Path:
        """The held-out rows."""
        return self.folder / "eval.jsonl"

    def spec(self) -> dict[str, Any]:
        """Return what is posted beside the rows: the pinned settings, and the question and options where there are."""
        facts = self._facts()
        data = {key: facts[key] for key in ("question", "options") if key in facts}
        return {**facts.get("settings", {}), **({"data": data} if data else {})}

    def questions(self) -> Iterator[Question]:
        """Yield a few held-out rows with different answers."""
        rows = [json.loads(line) for line in self.eval.read_text(encoding="utf-8").splitlines()]
        by_answer = {row.get("completion", row.get("label")): row for row in reversed(rows)}
        return (self._question(row) for row in islice(reversed(by_answer.values()), QUESTIONS_A_TASK))

    def _question(self, row: dict[str, str]) -> Question:
        if "prompt" in row:
            text = row["prompt"].removesuffix("\nAnswer:").rpartition("Question: ")[2]
            return Question(text, row["prompt"], row["completion"].strip())
        facts = self._facts()
        options = ", ".join(facts["options"])
        prompt = f"{facts['question']}\nOptions: {options}\n{row['text']}\nAnswer:"
        return Question(row["text"], prompt, row["label"])

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / "task.json").read_text(encoding="utf-8"))
        return facts


TASKS: Final = tuple(ExampleTask(Path(__file__).parent / name) for name in ("support_desk", "house_code"))
