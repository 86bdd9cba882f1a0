"""One run: a base model learns an order of tasks by one method, and is scored on all of them after each.

A task that is finished leaves a folder, its record written last; a run that is started again goes on after it.
"""

import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from benchmarks.continual.base_scores import BaseScores
from benchmarks.continual.data import Task
from core.domain.job_folder import Event, ProgressEvent
from core.learning.lineage import Lineage
from core.learning.rows import Row
from core.learning.scoring import Scorer
from core.storage import durable

RECORD: Final = "record.json"
BASE: Final = "base.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What one task left.

    Attributes:
        task: its name.
        right: by each task learned so far, one digit a held-out row: 1 where the answer was the label.
        base: the same for the task's own rows before anything was learned.
        density: share of the adapted weights that it changes.
        peak_bytes: the most memory that this process has held, up to here.
    """

    task: str
    right: Mapping[str, str]
    base: str
    density: float
    train_seconds: float
    eval_seconds: float
    peak_bytes: int


@dataclass(slots=True, kw_only=True)
class Run:
    """A lineage, the tasks it is to learn, and the folder where it leaves them."""

    lineage: Lineage
    tasks: Sequence[Task]
    spec: Mapping[str, Any]
    folder: Path
    progress: Progress
    base_scores: BaseScores = field(default_factory=lambda: BaseScores(None))
    records: list[TaskRecord] = field(default_factory=list)

    def finish(self) -> list[TaskRecord]:
        """Learn what is not learned yet, and return the records of all tasks."""
        done = [folder for n in range(len(self.tasks)) if (folder := self.folder_of(n) / RECORD).is_file()]
        self.records = [TaskRecord(**json.loads(file.read_text(encoding="utf-8"))) for file in done]
        base_right = self._base_right()
        self.lineage.resume([file.parent for file in done])
        for n in range(len(done), len(self.tasks)):
            self.records.append(self._learn(n, base_right))
        return self.records

    def _learn(self, n: int, base_right: Mapping[str, str]) -> TaskRecord:
        task, folder = self.tasks[n], self.folder_of(n)
        durable.remove_tree(folder)
        began = time.monotonic()
        delta = self.lineage.learn(task.train, report=self._shown(f"learn {task.name}"), spec=self.spec)
        learned = time.monotonic()
        right = {past.name: self.right(past) for past in self.tasks[: n + 1]}
        record = TaskRecord(
            task=task.name,
            right=right,
            base=base_right[task.name],
            density=delta.density,
            train_seconds=round(learned - began, 1),
            eval_seconds=round(time.monotonic() - learned, 1),
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        self.lineage.save(folder)
        durable.write_bytes(folder / RECORD, json.dumps(asdict(record), indent=1).encode())
        return record

    def _base_right(self) -> dict[str, str]:
        """Return what the untouched base knows; called before any task is learned or resumed."""
        file = self.folder / BASE
        if not file.is_file():
            right = {task.name: self.base_scores.right(task, self.right) for task in self.tasks}
            durable.make_folder(self.folder)
            durable.write_bytes(file, json.dumps(right).encode())
        return dict(json.loads(file.read_text(encoding="utf-8")))

    def right(self, task: Task) -> str:
        """Return one digit a held-out row of a task: 1 where what the network answers now is the label."""
        recipe = self.lineage.recipe(self.spec)
        shown = self.progress.add_task(f"score {task.name}", total=None)
        scorer = Scorer(
            model=self.lineage.network.eval(),
            tokenizer=self.lineage.tokenizer,
            family="seq2seq" if self.lineage.network.config.is_encoder_decoder else "causal",
            max_source_tokens=recipe.training.max_source_tokens,
            max_target_tokens=recipe.training.max_target_tokens,
            batch_size=recipe.evaluation.batch_size,
            pulse=lambda: self.progress.advance(shown),
        )
        rows: list[Row] = task.held_out
        right = scorer.right(rows)
        self.progress.remove_task(shown)
        return "".join(str(int(each)) for each in right)

    def _shown(self, what: str) -> Any:
        shown = self.progress.add_task(what, total=None)

        def report(event: Event) -> None:
            if isinstance(event, ProgressEvent):
                self.progress.update(shown, completed=event.step, total=event.total_steps)

        return report

    def folder_of(self, n: int) -> Path:
        """Return where the n-th task, counted from 0, leaves its delta and its record."""
        return self.folder / f"task-{n}-{self.tasks[n].name}"
