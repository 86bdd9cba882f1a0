"""The client and the command line against the real API: their words must be the same."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from listening import Listening
from typer.testing import CliRunner, Result

from strata.cli.app import app
from strata.client import ConflictError, InvalidRequestError, JobFailedError, NotFoundError

ROWS = [{"text": f"note number {n}", "label": ("basalt", "ember")[n % 2]} for n in range(20)]
Run = Callable[..., Result]


@pytest.fixture
def run(listening: Listening) -> Run:
    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, ["--url", listening.url, *words], env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_a_model_learns_a_task_and_answers_through_the_client(listening: Listening) -> None:
    client = listening.client
    assert client.models.create("desk", base_model="tiny", method="jumplora").aliases["latest"] == "desk@0"
    job = client.tasks.submit("desk", rows=ROWS, name="codes", spec={"training": {"epochs": 2}})
    assert (job.state, job.queue_position) == ("queued", 1)
    listening.learn(job)
    done = client.jobs.wait(job.id)
    assert done.result_version == "desk@1"
    assert "/generate" in (done.try_it or "")
    matrix = client.evaluations.matrix("desk")
    assert (matrix.tasks, matrix.scores, matrix.base_scores) == (["codes"], [[0.875]], [0.125])
    assert (matrix.base_option_scores, matrix.density) == ([0.25], [0.25])
    assert [version.name for version in client.versions.list("desk")] == ["desk@1", "desk@0"]
    answer = client.generate("desk", task="codes", input={"text": "n"}, temperature=0.0)
    assert (answer.text, answer.version) == ("Answer:", "desk@1")
    pieces = list(client.stream("desk", "one two"))
    assert "".join(piece.text for piece in pieces) == "one two "
    assert {piece.version for piece in pieces} == {"desk@1"}


def test_events_are_followed_while_they_happen_and_resumed(listening: Listening) -> None:
    client = listening.client
    client.models.create("desk", base_model="tiny")
    job = client.tasks.submit("desk", rows=ROWS, name="codes")
    learning = threading.Timer(0.3, listening.learn, [job])
    learning.start()
    events = list(client.jobs.events(job.id))
    learning.join()
    assert [event.to_state for event in events if event.to_state] == ["queued", "running", "succeeded"]
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert list(client.jobs.events(job.id, after=1)) == events[1:]


def test_datasets_are_kept_once_and_can_be_named(listening: Listening) -> None:
    client = listening.client
    client.models.create("desk", base_model="tiny")
    dataset = client.datasets.create(rows=ROWS)
    assert client.datasets.create(rows=ROWS).id == dataset.id
    assert [each.id for each in client.datasets.list()] == [dataset.id]
    assert client.datasets.report(dataset.id)["report"]["n_rows"] == 20
    shown = client.datasets.preview(dataset.id, question="Which one?")["data"][0]["spans"]
    assert [span["masked"] for span in shown] == [True, False]
    job = client.tasks.submit("desk", dataset_id=dataset.id, name="codes")
    assert client.tasks.get(job.task_id or "").dataset_id == dataset.id
    assert client.jobs.cancel(job.id).state == "cancelled"
    with pytest.raises(JobFailedError, match="cancelled"):
        client.jobs.wait(job.id)
    assert client.jobs.retry(job.id).state == "queued"


def test_what_the_service_refuses_is_told_with_place_and_code(listening: Listening) -> None:
    client = listening.client
    client.models.create("desk", base_model="tiny")
    with pytest.raises(ConflictError) as taken:
        client.models.create("desk", base_model="tiny")
    assert taken.value.code == "name_taken"
    with pytest.raises(NotFoundError) as missing:
        client.tasks.submit("nobody", rows=ROWS, name="codes")
    assert missing.value.code == "model_not_found"
    with pytest.raises(InvalidRequestError) as bad_line:
        client.tasks.submit("desk", rows=[*ROWS, {"text": "no label"}], name="codes")
    assert bad_line.value.places[0].line == 21
    with pytest.raises(InvalidRequestError) as bad_setting:
        client.tasks.submit("desk", rows=ROWS, name="codes", spec={"adapter": {"rank": 0}})
    assert "rank" in bad_setting.value.places[0].loc
    assert list(client.tasks.list()) == []


def test_the_commands_tell_the_same_story(listening: Listening, run: Run, rows: Path) -> None:
    def told(*words: str) -> Result:
        result = run(*words)
        assert result.exit_code == 0, result.output
        return result

    told("models", "create", "desk", "-b", "tiny")
    job = json.loads(told("tasks", "submit", "desk", str(rows), "-n", "codes", "--question", "Which?", "--json").stdout)
    assert job["effective_spec"]["data"]["question"] == "Which?"
    listening.learn(listening.client.jobs.get(job["id"]))
    assert "desk@1" in told("jobs", "watch", job["id"]).stdout
    assert "0.875" in told("models", "matrix", "desk").stdout
    assert "latest" in told("versions", "list", "desk").stdout
    assert told("generate", "desk", "--task", "codes", "--input", "text=x").stdout == "Answer:\n"
    assert told("generate", "desk@1", "a b", "--stream").stdout == "a b \n"
    for listing in (["models", "list"], ["base-models", "list"], ["jobs", "list"], ["tasks", "list"], ["methods"]):
        assert json.loads(told(*listing, "--json").stdout)
        told(*listing)
    told("jobs", "show", job["id"])
    shown = told("methods", "replay").stdout
    assert "memories.reservoir.capacity" in shown
    assert "--store-rows" in shown
    assert json.loads(told("methods", "ewc", "--json").stdout)["memories"] == ["fisher"]
    assert run("methods", "magic").exit_code == 2
    told("base-models", "show", "tiny")


def test_a_bad_file_leaves_nothing_and_names_its_lines(listening: Listening, run: Run, rows: Path) -> None:
    listening.client.models.create("desk", base_model="tiny")
    rows.write_text(rows.read_text() + "{broken\n")
    told = run("tasks", "submit", "desk", str(rows), "-n", "codes")
    assert told.exit_code == 1
    assert "line 21" in told.stderr
    assert list(listening.client.datasets.list()) == []
