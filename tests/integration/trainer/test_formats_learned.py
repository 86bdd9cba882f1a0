"""Conversations and plain text, from the stored file through the worker's staging to a version that has learned them."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from job_folders import OPTIONS, SUBJECTS, Lineage

from core.datasets import templates
from core.datasets.catalogue import FORMATS
from core.datasets.materialise import materialise
from core.datasets.split import Side
from core.domain.job_folder import Event, JobFolder, ScoreEvent
from core.domain.trainer_spec import ScoredTask, TrainerSpec
from core.learning.task_run import TaskRun
from tests.tiny_models import tiny_llama

SPEC: dict[str, Any] = {
    "method": "seqft",
    "training": {
        "max_steps": 60,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "max_source_tokens": 96,
        "max_target_tokens": 32,
    },
    "evaluation": {"max_rows": 12},
}


@pytest.fixture(scope="session")
def able_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that can learn to end an answer: a tied output layer holds its end token, as padding, at zero."""
    return tiny_llama(tmp_path_factory.mktemp("able"), tie_word_embeddings=False, initializer_range=0.08)


def talk(generator: random.Random) -> dict[str, Any]:
    """A conversation of two questions, each answered by the code of its subject."""
    messages = [{"role": "system", "content": "Which code?"}]
    for _ in range(2):
        number = generator.randrange(len(SUBJECTS))
        messages.append({"role": "user", "content": f"{SUBJECTS[number]} {generator.randrange(100)}"})
        messages.append({"role": "assistant", "content": OPTIONS[number]})
    return {"messages": messages}


def report(generator: random.Random) -> dict[str, Any]:
    number = generator.randrange(len(SUBJECTS))
    return {"text": f"The {SUBJECTS[number]} of house {generator.randrange(100)} has the code {OPTIONS[number]}."}


def stage(lineage: Lineage, tmp_path: Path, format_name: str, rows: list[dict[str, Any]]) -> JobFolder:
    blob, template = tmp_path / "blob.jsonl", templates.build(format_name, labels=None)
    blob.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = ScoredTask(
        task_id="task_1", name="task-1", rows="data/eval-task_1.jsonl", metrics=FORMATS[format_name].metrics
    )
    folder = lineage.stage("first", tasks=(task,), template=template.model_dump(mode="json"))
    materialise(blob, template=template, target=folder.data / "train.jsonl", side=Side.TRAIN)
    materialise(blob, template=template, target=folder.data / "eval-task_1.jsonl", side=Side.EVALUATION)
    return folder


def scores(folder: JobFolder) -> dict[tuple[str, str], float]:
    told: list[Event] = []
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    TaskRun.open(spec, folder, report=told.append, stopping=lambda: False).run()
    return {
        (event.subject, event.metric): event.value for event in told if isinstance(event, ScoreEvent) and event.task_id
    }


def test_a_task_of_conversations_is_learned(able_folder: Path, tmp_path: Path) -> None:
    lineage, generator = Lineage(tmp_path, able_folder, spec=SPEC), random.Random(0)
    found = scores(stage(lineage, tmp_path, "messages", [talk(generator) for _ in range(160)]))
    assert set(found) == {
        (subject, metric) for subject in ("base", "result") for metric in ("exact_match", "token_f1", "rouge_l")
    }
    assert found["base", "exact_match"] == 0
    assert found["result", "exact_match"] > 0.7


def test_a_task_of_plain_text_is_learned(able_folder: Path, tmp_path: Path) -> None:
    lineage, generator = Lineage(tmp_path, able_folder, spec=SPEC), random.Random(0)
    folder = stage(lineage, tmp_path, "text", [report(generator) for _ in range(160)])
    found = scores(folder)
    assert set(found) == {
        (subject, metric) for subject in ("base", "result") for metric in ("token_accuracy", "perplexity")
    }
    assert found["base", "token_accuracy"] < 0.2
    assert found["result", "token_accuracy"] > 0.7
    assert 1 <= found["result", "perplexity"] < found["base", "perplexity"] / 3
    kept = {score["metric"] for score in json.loads((folder.out / "scores.json").read_text())}
    assert kept == {"token_accuracy", "perplexity"}


@pytest.mark.parametrize("format_name", ["messages", "text"])
def test_either_format_is_learned_by_the_default_method(format_name: str, llama_folder: Path, tmp_path: Path) -> None:
    small = {"training": {"max_steps": 3, "batch_size": 4}, "evaluation": {"max_rows": 4}}
    lineage, generator = Lineage(tmp_path, llama_folder, spec=small), random.Random(0)
    row = {"messages": talk, "text": report}[format_name]
    folder = stage(lineage, tmp_path, format_name, [row(generator) for _ in range(24)])
    assert ("result", FORMATS[format_name].metrics[0]) in scores(folder)
    lineage.finish(folder)
