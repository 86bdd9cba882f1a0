"""Aliases, versions and pauses from the command line, against the real API."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import stage
from listening import Listening
from typer.testing import CliRunner, Result

from strata.cli.app import app
from strata.client import ConflictError

Run = Callable[..., Result]


@pytest.fixture
def run(listening: Listening) -> Run:
    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, ["--url", listening.url, *words], env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


@pytest.fixture
def learned(listening: Listening) -> Listening:
    listening.client.models.create("desk", base_model="tiny")
    stage.learn(listening.registry, "a")
    stage.learn(listening.registry, "b")
    return listening


@pytest.mark.usefixtures("learned")
def test_a_version_is_promoted_and_the_history_says_why(run: Run) -> None:
    promoted = run("versions", "promote", "desk@1", "--alias", "stable", "--reason", "the best so far")
    assert (promoted.exit_code, "desk@1" in promoted.output) == (0, True), promoted.output
    assert "the best so far" in run("aliases", "history", "desk", "stable").output
    assert '"desk@1"' in run("aliases", "list", "desk", "--json").output


@pytest.mark.usefixtures("learned")
def test_a_model_is_rolled_back_and_what_it_left_is_deleted(run: Run, learned: Listening) -> None:
    with pytest.raises(ConflictError):
        learned.client.versions.delete("desk@2")
    back = run("versions", "rollback", "desk", "--reason", "a bad day", "--json")
    assert json.loads(back.output)["version"] == "desk@1"
    assert run("versions", "delete", "desk@2").exit_code == 0
    assert learned.client.versions.get("desk@2").state == "deleted"
    assert run("versions", "rollback", "desk", "--to", "2").exit_code == 1


@pytest.mark.usefixtures("learned")
def test_an_alias_is_deleted(run: Run) -> None:
    assert run("aliases", "delete", "desk", "stable").exit_code == 0
    assert "stable" not in run("aliases", "list", "desk").output
    assert run("aliases", "delete", "desk", "latest").exit_code == 1


def test_a_job_is_paused_and_resumed(run: Run, learned: Listening) -> None:
    _, job = stage.submit(learned.registry, "c")
    assert "paused" in run("jobs", "pause", job.id).output
    assert "strata jobs resume" in run("jobs", "pause", job.id).output
    assert "queued" in run("jobs", "resume", job.id).output


def test_a_task_is_estimated_and_posted_once_under_its_key(run: Run, learned: Listening, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"text": f"note {n}", "label": "ab"[n % 2]}) + "\n" for n in range(20)))
    estimated = run("tasks", "estimate", "desk", str(file), "--set", "training.max_steps=7")
    assert (estimated.exit_code, "peak memory" in estimated.output) == (0, True), estimated.output
    tasks = learned.client.tasks
    assert tasks.estimate("desk", file).steps.value
    assert tasks.submit("desk", file, name="c", idempotency_key="k") == tasks.submit(
        "desk", file, name="c", idempotency_key="k"
    )
