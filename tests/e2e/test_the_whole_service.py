"""The whole service on the real 135M model: it learns, it is killed on the way, it answers, it is started again."""

import itertools
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_service import RunningService, free_port, until

from strata.client.jobs import Patience
from strata.client.results import Generation, Job, Version
from strata.client.score_results import ScoreMatrix
from strata.embedded.first_base_model import NAME as BASE_MODEL

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "house_code"
SPEC: dict[str, Any] = {
    "data": {"question": "Which house code fits this note?"},
    "training": {"max_steps": 8, "batch_size": 4, "max_target_tokens": 8},
    "evaluation": {"max_rows": 8},
}
# Short leases, so that a killed worker's job is taken up again within seconds.
# The converted base model is kept in the clone, as the demo does: it is the same for every run.
SETTINGS = {
    "STRATA_LEASE_SECONDS": "4",
    "STRATA_BEAT_SECONDS": "1",
    "STRATA_SWEEP_SECONDS": "1",
    "STRATA_BASE_MODELS_DIR": str(ROOT / "var" / "base-models"),
}
ASKED = {"text": "The boiler in hall two is leaking again."}

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened, in order."""

    first: Generation
    while_learning: Generation
    killed: list[int]
    job: Job
    versions: list[Version]
    matrix: ScoreMatrix
    learned: Generation
    exit_code: int
    left_over: list[psutil.Process]
    again: Generation
    job_again: Job


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("service")
    port = free_port()
    up = RunningService(folder, port=port, settings=SETTINGS)
    try:
        yield tell(up, folder, port)
    finally:
        up.stop(signal.SIGTERM)


def tell(up: RunningService, folder: Path, port: int) -> Story:
    up.await_ready()
    client = up.client
    until(
        lambda: [base for base in client.base_models.list() if (base.name, base.state) == (BASE_MODEL, "ready")],
        seconds=180,
        what="the base model",
    )
    client.models.create("helper", base_model=BASE_MODEL)
    first = client.generate("helper", "The house code is", max_tokens=4, temperature=0.0)

    posted = client.tasks.submit("helper", rows=rows("train", 48), eval_rows=rows("eval", 8), name="codes", spec=SPEC)
    until(lambda: client.jobs.get(posted.id).progress.step >= 2, seconds=240, what="the second step")
    while_learning = client.generate("helper", "The house code is", max_tokens=4, temperature=0.0)
    killed = [process.pid for name in ("worker.control", "worker.compute.trainer") for process in up.processes(name)]
    up.processes("worker.control")[0].kill()
    job = client.jobs.wait(posted.id, patience=Patience(timeout_seconds=240))
    learned = until(lambda: asked_of_the_newest(up), seconds=30, what="the new version's answer")

    children = up.processes()
    exit_code = up.stop(signal.SIGINT)
    left_over = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    again_up = RunningService(folder, port=port, settings=SETTINGS)
    try:
        again_up.await_ready()
        return Story(
            first=first,
            while_learning=while_learning,
            killed=killed,
            job=job,
            learned=learned,
            exit_code=exit_code,
            left_over=left_over,
            again=again_up.client.generate("helper", task="codes", input=ASKED, temperature=0.0),
            job_again=again_up.client.jobs.get(job.id),
            versions=list(again_up.client.versions.list("helper")),
            matrix=again_up.client.evaluations.matrix("helper"),
        )
    finally:
        again_up.stop(signal.SIGTERM)


def asked_of_the_newest(up: RunningService) -> Generation | None:
    answer = up.client.generate("helper", task="codes", input=ASKED, temperature=0.0)
    return answer if answer.version == "helper@1" else None


def rows(name: str, count: int) -> list[dict[str, str]]:
    lines = (EXAMPLE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in itertools.islice(lines, count)]


def test_the_base_answers_before_and_while_a_task_is_learned(story: Story) -> None:
    assert {story.first.version, story.while_learning.version} == {"helper@0"}
    assert story.first.text == story.while_learning.text != ""


def test_a_killed_worker_leaves_no_trainer_and_its_job_is_taken_up_again(story: Story) -> None:
    assert len(story.killed) >= 2
    assert not any(psutil.pid_exists(pid) for pid in story.killed)
    assert story.job.state == "succeeded"


def test_the_lineage_is_the_same_as_if_nothing_had_been_killed(story: Story) -> None:
    by_number = {version.number: version for version in story.versions}
    assert story.job.result_version == "helper@1"
    assert [by_number[1].parent_id, *by_number[1].chain] == [by_number[0].id, by_number[1].id]
    assert {version.state for version in story.versions} == {"ready"}
    assert sorted(by_number) == [0, 1]


def test_every_task_is_scored_and_its_update_is_measured(story: Story) -> None:
    assert story.matrix.tasks == ["codes"]
    assert story.matrix.scores[0][0] is not None
    assert story.matrix.base_scores[0] is not None
    assert story.matrix.base_option_scores[0] is not None
    assert story.matrix.density[0] is not None
    assert 0 < story.matrix.density[0] <= 1


def test_ctrl_c_stops_everything(story: Story) -> None:
    assert story.exit_code == 0
    assert story.left_over == []


def test_a_restarted_service_answers_from_its_last_version(story: Story) -> None:
    assert story.again.version == story.learned.version == "helper@1"
    assert story.again.text == story.learned.text
    assert story.job_again == story.job
