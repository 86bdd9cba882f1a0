"""How well a version does, as the command tells it."""

import json
from collections.abc import Callable

import pytest
import stage
from listening import Listening
from typer.testing import CliRunner, Result

from core.domain.job_folder import ScoreEvent
from strata.cli.app import app

Run = Callable[..., Result]


def told(task_id: str, outcomes: list[int]) -> ScoreEvent:
    value = sum(outcomes) / len(outcomes)
    sure = {"n_rows": len(outcomes), "low": value - 0.125, "high": value, "chance": 0.5, "rows_sha256": "e" * 64}
    return stage.result(task_id, value).model_copy(update={**sure, "outcomes": tuple(outcomes)})


@pytest.fixture
def run(listening: Listening) -> Run:
    """The command, on a model whose second task cost it three of the first one's rows."""
    listening.client.models.create("desk", base_model="tiny")
    codes, _ = stage.submit(listening.registry, "codes")
    with listening.registry.write() as work:
        stage.publish(work, stage.claim(work), [told(codes.id, [1, 1, 1, 1])])
    hues, _ = stage.submit(listening.registry, "hues")
    with listening.registry.write() as work:
        stage.publish(work, stage.claim(work), [told(codes.id, [1, 0, 0, 0]), told(hues.id, [1, 0, 1, 0])])

    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, ["--url", listening.url, *words], env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


def row_of(told: Result, task: str) -> list[str]:
    line = next(line for line in told.stdout.splitlines() if f" {task} " in line)
    return [part.strip() for part in line.strip("│ ").split("│")]


def test_a_versions_scores_are_told_with_how_sure_they_are(run: Run) -> None:
    told = run("versions", "scores", "desk@2")
    assert told.exit_code == 0
    assert row_of(told, "codes") == ["codes", "exact_match", "0.250", "0.125 to 0.250", "4", "0.500"]
    assert "p" not in row_of(told, "task")


def test_two_versions_are_told_apart_row_by_row(run: Run) -> None:
    told = run("versions", "scores", "desk@2", "--against", "desk@1")
    assert told.exit_code == 0
    before, difference, bounds, p_value = row_of(told, "codes")[6:]
    assert (before, difference, p_value) == ("1.000", "-0.750", "0.250")
    assert bounds.startswith("-1.000 to ")
    # The older version did not know the second task.
    assert len(set(row_of(told, "hues")[6:])) == 1
    document = json.loads(run("versions", "scores", "desk@2", "--against", "desk@1", "--json").stdout)
    assert [row["task"] for row in document["scores"]] == ["codes", "hues"]
    assert document["scores"][1]["against"] is None


def test_a_version_that_is_not_there_is_said_on_stderr(run: Run) -> None:
    told = run("versions", "scores", "desk@1", "--against", "desk@9")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "version_not_found" in told.stderr
