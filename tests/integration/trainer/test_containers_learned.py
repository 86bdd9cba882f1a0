"""A task file in CSV or Parquet, from the stored bytes through the worker's staging to a version that has learned it."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from job_folders import OPTIONS, SUBJECTS, Lineage
from pyarrow import parquet

from core.datasets import templates
from core.datasets.containers.container import Container
from core.datasets.materialise import materialise
from core.datasets.split import Side
from core.domain.job_folder import Event, ScoreEvent
from core.domain.trainer_spec import ScoredTask, TrainerSpec
from core.learning.task_run import TaskRun
from tests.tiny_models import tiny_llama

SPEC: dict[str, Any] = {
    "method": "seqft",
    "training": {
        "max_steps": 50,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "max_source_tokens": 96,
        "max_target_tokens": 32,
    },
    "evaluation": {"max_rows": 12},
}
TEMPLATE = templates.build("text_label", labels=OPTIONS, question="Which code?")


def written(folder: Path) -> dict[Container, Path]:
    """The same rows in every container: a note with a comma, a quote and a line break, and its code."""
    generator = random.Random(0)
    numbers = [generator.randrange(len(SUBJECTS)) for _ in range(160)]
    notes = [f'{SUBJECTS[number]}, "{generator.randrange(100)}"\nurgent' for number in numbers]
    rows = [{"text": note, "label": OPTIONS[number]} for note, number in zip(notes, numbers, strict=True)]
    files = {container: folder / f"rows.{container}" for container in Container}
    files[Container.JSONL].write_text("".join(json.dumps(row) + "\n" for row in rows))
    with files[Container.CSV].open("w", newline="") as file:
        writer = csv.DictWriter(file, ("text", "label"))
        writer.writeheader()
        writer.writerows(rows)
    parquet.write_table(pa.Table.from_pylist(rows), files[Container.PARQUET])
    return files


def test_every_container_is_staged_to_the_same_rows(tmp_path: Path) -> None:
    staged = {}
    for container, file in written(tmp_path).items():
        for side in (Side.TRAIN, Side.EVALUATION):
            target = tmp_path / f"{container}-{side}.jsonl"
            assert materialise(file, template=TEMPLATE, target=target, side=side, container=container) > 5
            staged[container, side] = target.read_bytes()
    for side in (Side.TRAIN, Side.EVALUATION):
        assert staged[Container.CSV, side] == staged[Container.PARQUET, side] == staged[Container.JSONL, side]


@pytest.mark.parametrize("container", [Container.PARQUET])
def test_a_task_is_learned_from_it(container: Container, tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "able", tie_word_embeddings=False, initializer_range=0.08)
    lineage = Lineage(tmp_path, base, spec=SPEC)
    task = ScoredTask(task_id="task_1", name="task-1", rows="data/eval-task_1.jsonl")
    folder = lineage.stage("first", tasks=(task,), template=TEMPLATE.model_dump(mode="json"))
    file = written(tmp_path)[container]
    for name, side in (("train", Side.TRAIN), ("eval-task_1", Side.EVALUATION)):
        target = folder.data / f"{name}.jsonl"
        materialise(file, template=TEMPLATE, target=target, side=side, container=container)

    told: list[Event] = []
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    TaskRun.open(spec, folder, report=told.append, stopping=lambda: False).run()

    found = {
        (event.subject, event.metric): event.value for event in told if isinstance(event, ScoreEvent) and event.task_id
    }
    assert found["base", "exact_match"] < 0.5
    assert found["result", "exact_match"] > 0.7
    lineage.finish(folder)
