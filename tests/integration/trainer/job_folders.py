"""Job folders as a worker stages them, on a tiny base model, for as many tasks as a test wants."""

import hashlib
import json
import random
import shutil
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from core.domain.job_folder import EVENT, Event, JobFolder, PhaseEvent, ProgressEvent, ScoreEvent
from core.domain.manifest import Manifest
from core.domain.trainer_spec import BaseRef, ChainLink, ScoredTask, TrainerSpec
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.learning.recipe import TaskSpec
from core.learning.resolution import resolve
from core.storage import manifests
from core.weights import base

OPTIONS = ("basalt", "ember", "quill", "zephyr")
SUBJECTS = ("harbour", "parcel", "invoice", "office")
SMALL = {"training": {"max_steps": 8, "batch_size": 4, "learning_rate": 5e-3}, "evaluation": {"max_rows": 6}}


def rows(seed: int, count: int) -> str:
    generator = random.Random(seed)
    lines = []
    for _ in range(count):
        subject = generator.randrange(len(SUBJECTS))
        prompt = f"Which code?\n{SUBJECTS[subject]} {generator.randrange(100)}\nAnswer:"
        target = f" {OPTIONS[(subject + seed) % len(OPTIONS)]}"
        lines.append(json.dumps({"prompt": prompt, "target": target, "options": OPTIONS}) + "\n")
    return "".join(lines)


@dataclass
class Lineage:
    """A model that learns task after task; each call of `stage` makes the next job's folder."""

    root: Path
    base_path: Path
    spec: dict[str, Any] = field(default_factory=lambda: SMALL)
    done: list[JobFolder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.facts = base.load(self.base_path).facts

    def stage(self, name: str, **changes: Any) -> JobFolder:
        """Stage the next task in the folder ``name``; ``changes`` replace members of the trainer's spec."""
        folder = JobFolder(self.root / name / "1")
        folder.data.mkdir(parents=True)
        number = len(self.done) + 1
        (folder.data / "train.jsonl").write_text(rows(number, 24))
        for task in range(1, number + 1):
            (folder.data / f"eval-task_{task}.jsonl").write_text(rows(100 * task + task, 8))
        for n, parent in enumerate(self.done):
            shutil.copytree(parent.out, folder.chain / str(n))
        spec = self._spec(number).model_copy(update=changes)
        folder.spec.write_text(spec.model_dump_json())
        return folder

    def finish(self, folder: JobFolder) -> Manifest:
        """Verify what ``folder``'s trainer left, make it the parent of the next task and return its manifest."""
        manifest = Manifest.model_validate(manifests.verify(folder.out))
        self.done.append(folder)
        return manifest

    def _spec(self, number: int) -> TrainerSpec:
        recipe = resolve(
            TaskSpec.model_validate(self.spec), default_method=DEFAULT_METHOD, facts=self.facts, may_store_rows=True
        )
        chain = [
            ChainLink(version_id=f"ver_{n}", folder=f"chain/{n}", manifest_sha256=identity(parent))
            for n, parent in enumerate(self.done)
        ]
        parent_digest = manifests.read(self.done[-1].out)["digest"] if self.done else self.facts.digest
        return TrainerSpec(
            base=BaseRef(path=str(self.base_path), digest=self.facts.digest),
            chain=tuple(chain),
            parent_digest=parent_digest,
            recipe=recipe.model_dump(mode="json"),
            train_rows="data/train.jsonl",
            tasks=tuple(
                ScoredTask(task_id=f"task_{n}", name=f"task-{n}", rows=f"data/eval-task_{n}.jsonl")
                for n in range(1, number + 1)
            ),
            template={"format": "prompt_completion"},
            provenance={
                "project_id": "prj_default",
                "model_id": "mdl_1",
                "task_id": f"task_{number}",
                "job_id": f"job_{number}",
                "fence": 1,
                "parent_version_id": f"ver_{number - 1}",
            },
            device="cpu",
            threads=1,
        )


def identity(folder: JobFolder) -> str:
    return hashlib.sha256((folder.out / manifests.NAME).read_bytes()).hexdigest()


def events(folder: JobFolder) -> list[Event]:
    return [EVENT.validate_json(line) for line in folder.events.read_text().splitlines()]


def phases(told: list[Event]) -> list[str]:
    """The phases in order, each once: scoring before the training repeats its phase as a sign of life."""
    return [phase for phase, _ in groupby(event.phase for event in told if isinstance(event, PhaseEvent))]


def scores(told: list[Event]) -> list[tuple[str, str, str]]:
    """The scores on tasks; the general text has no task."""
    return [
        (event.subject, event.task_id, event.metric)
        for event in told
        if isinstance(event, ScoreEvent) and event.task_id is not None
    ]


def curve(told: list[Event], series: str) -> list[float]:
    return [event.values[series] for event in told if isinstance(event, ProgressEvent) and series in event.values]
