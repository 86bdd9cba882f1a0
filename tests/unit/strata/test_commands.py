"""The command line, as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_service import FakeService, job, problem
from typer.testing import CliRunner, Result

from strata import Client
from strata.cli.app import app
from strata.cli.session import Session

Run = Callable[..., Result]
MATRIX = {
    "tasks": ["desk", "codes"],
    "versions": ["ver_1", "ver_2"],
    "scores": [[0.9, None], [0.85, 0.95]],
    "base_scores": [0.0, 0.1],
    "base_option_scores": [None, 0.3],
    "oa": 0.9,
    "bwt": -0.05,
    "forgetting": 0.05,
    "plasticity": 0.925,
    "density": [0.001, 0.002],
}


@pytest.fixture
def run(service: FakeService) -> Run:
    def connect(url: str, api_key: str | None) -> Client:
        return Client(url, api_key, transport=httpx.MockTransport(service.handle))

    def typed(*words: str) -> Result:
        session = Session(url="http://strata.test", connect=connect)
        return CliRunner().invoke(app, list(words), obj=session, env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "train.jsonl"
    file.write_text('{"text": "a", "label": "b"}\n')
    return file


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(rows), "has_more": False}


@pytest.mark.parametrize(
    ("words", "call", "answer"),
    [
        (["base-models", "list"], "GET /v1/base-models", listed({"id": "base_1", "name": "b", "source": "s", "state": "ready"})),
        (["base-models", "show", "b"], "GET /v1/base-models/b", {"id": "base_1", "name": "b", "source": "s", "state": "ready"}),
        (["base-models", "add", "b", "wheel:x"], "POST /v1/base-models", {"id": "base_1", "name": "b", "source": "wheel:x", "state": "pending"}),
        (["models", "create", "m", "-b", "b"], "POST /v1/models", {"id": "m", "name": "m"}),
        (["models", "list"], "GET /v1/models", listed({"id": "m", "name": "m"})),
        (["models", "show", "m"], "GET /v1/models/m", {"id": "m", "name": "m"}),
        (["models", "matrix", "m"], "GET /v1/models/m/evaluations", MATRIX),
        (["tasks", "list"], "GET /v1/tasks", listed({"id": "task_1", "name": "t"})),
        (["tasks", "show", "task_1"], "GET /v1/tasks/task_1", {"id": "task_1", "name": "t"}),
        (["jobs", "list"], "GET /v1/jobs", listed(job())),
        (["jobs", "show", "job_1"], "GET /v1/jobs/job_1", job("running")),
        (["jobs", "watch", "job_1"], "GET /v1/jobs/job_1", job("succeeded")),
        (["jobs", "cancel", "job_1"], "POST /v1/jobs/job_1/cancel", job("cancelled")),
        (["jobs", "retry", "job_1"], "POST /v1/jobs/job_1/retry", job()),
        (["jobs", "logs", "job_1"], "GET /v1/jobs/job_1/logs", {"text": "step 1\n"}),
        (["versions", "list", "m"], "GET /v1/models/m/versions", listed({"id": "ver_1", "number": 1, "state": "ready"})),
        (["versions", "show", "ver_1"], "GET /v1/versions/ver_1", {"id": "ver_1", "number": 1, "state": "ready"}),
        (["generate", "m", "hello"], "POST /v1/generate", {"version": "m@1", "choices": [{"text": "world"}]}),
        (["methods"], "GET /v1/methods", listed({"name": "jumplora"})),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_every_command_prints_for_people_and_as_one_json_document(
    service: FakeService, run: Run, words: list[str], call: str, answer: dict[str, Any]
) -> None:
    service.on(call, answer)
    told = run(*words)
    assert told.exit_code == 0
    assert told.stdout
    document = json.loads(run(*words, "--json").stdout)
    shown = answer.get("data", [answer])
    for row, expected in zip(document if "data" in answer else [document], shown, strict=True):
        assert expected.items() <= row.items() or "choices" in expected


def test_submit_builds_the_spec_from_its_options(service: FakeService, run: Run, rows: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text('{"training": {"epochs": 1, "batch_size": 4}}')
    service.on("POST /v1/tasks", job(), status=202)
    told = run(
        "tasks", "submit", "m", str(rows), "--name", "codes", "--spec", str(spec), "--question", "Which?",
        "--option", "a", "--option", "b", "--method", "ella", "--set", "training.epochs=3", "--set", "note=x", "--json",
    )  # fmt: skip
    assert json.loads(told.stdout)["id"] == "job_1"
    sent = service.requests[0].content.decode()
    posted = next(line for line in sent.splitlines() if line.startswith("{"))
    assert json.loads(posted) == {
        "training": {"epochs": 3, "batch_size": 4},
        "data": {"question": "Which?", "options": ["a", "b"]},
        "method": "ella",
        "note": "x",
    }


def test_a_watched_task_ends_with_its_version_and_keeps_stdout_clean(
    service: FakeService, run: Run, rows: Path
) -> None:
    service.on("POST /v1/tasks", job(), status=202)
    running = job(
        "running", phase="training", progress={"step": 5, "total_steps": 10, "percent": 50, "eta_seconds": 65}
    )
    service.on("GET /v1/jobs/job_1", running, job("succeeded", result_version_id="ver_9"))
    service.on(
        "GET /v1/jobs/job_1/metrics",
        {"series": {"loss": [{"step": 5, "value": 1.25}], "sparsity": [{"step": 5, "value": 0.5}]}},
    )
    told = run("tasks", "submit", "m", str(rows), "--name", "t", "--watch", "--json")
    assert json.loads(told.stdout)["result_version_id"] == "ver_9"
    assert "training  step 5/10  loss 1.250  sparsity 50.0%  1m05s left" in told.stderr


def test_a_rebuild_is_watched_to_the_account_of_what_was_lost(service: FakeService, run: Run) -> None:
    account = {
        "left_out": [{"task_id": "task_1", "task": "desk"}],
        "learned_on_top": ["codes"],
        "traces_in": ["input_moments"],
        "comparison": [
            {"task_id": "task_1", "task": "desk", "left_out": True, "metric": "exact_match", "before": 0.9, "after": 0.1, "difference": -0.8, "low": -0.9, "high": -0.7},
            {"task_id": "task_2", "task": "codes", "left_out": False, "metric": "exact_match", "before": 0.8, "after": 0.8, "difference": 0.0},
        ],
    }  # fmt: skip
    service.on("POST /v1/models/m/versions", job(kind="rebuild", rebuild=account), status=202)
    service.on("GET /v1/jobs/job_1", job("succeeded", kind="rebuild", result_version="m@3", rebuild=account))
    told = run("models", "rebuild", "m", "--leave-out", "desk", "--leave-out", "task_9", "--aside", "--watch")
    assert told.exit_code == 0, told.stderr
    assert service.sent(0) == {"leave_out": ["desk", "task_9"], "promote": False}
    assert "desk (left out)" in told.stdout
    assert "-0.800 [-0.900, -0.700]" in told.stdout
    assert "learned on top of what was left out, and as it was: codes" in told.stdout
    assert "still in the method's memory: input_moments" in told.stdout
    as_json = run("models", "rebuild", "m", "--leave-out", "desk", "--json")
    assert json.loads(as_json.stdout)["rebuild"] == account | {
        "comparison": [
            line | {"n_rows": None, "low": line.get("low"), "high": line.get("high")} for line in account["comparison"]
        ]
    }


def test_a_watched_job_that_fails_exits_with_1(service: FakeService, run: Run) -> None:
    service.on("GET /v1/jobs/job_1", job("failed", error={"code": "out_of_memory", "detail": "no memory left"}))
    told = run("jobs", "watch", "job_1")
    assert told.exit_code == 1
    assert "[out_of_memory]" in told.stderr
    assert "next: lower training.batch_size" in told.stderr


def test_an_error_says_where_and_what_next_on_stderr_only(service: FakeService, run: Run, rows: Path) -> None:
    places = [{"loc": ["file"], "line": line, "message": "not JSON"} for line in range(1, 9)]
    service.on("POST /v1/tasks", problem(422, "invalid_dataset", "8 lines are bad", places))
    told = run("tasks", "submit", "m", str(rows), "--name", "t", "--json")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "error [invalid_dataset]: 8 lines are bad" in told.stderr
    assert "line 1, file: not JSON" in told.stderr
    assert "… and 3 more" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["tasks", "submit", "m", "no-such-file.jsonl", "--name", "t"],
        ["tasks", "submit", "m", "{rows}"],
        ["tasks", "submit", "m", "{rows}", "--name", "t", "--set", "training"],
        ["tasks", "submit", "m", "{rows}", "--name", "t", "--set", "training.learning_rate=NaN"],
        ["tasks", "submit", "m", "{rows}", "--name", "t", "--set", "a=1", "--set", "a.b=1"],
        ["tasks", "submit", "m", "{rows}", "--name", "t", "--spec", "{rows}"],
        ["generate", "m"],
        ["generate", "m", "prompt", "--task", "t"],
        ["generate", "m", "--task", "t", "--input", "text"],
        ["generate", "m", "p", "--n", "2", "--stream"],
        ["jobs", "fly"],
        ["up", "--port", "0"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_understood_exits_with_2_and_sends_nothing(
    service: FakeService, run: Run, rows: Path, words: list[str]
) -> None:
    rows.write_text("not json")
    told = run(*(word.format(rows=rows) for word in words))
    assert (told.exit_code, service.requests) == (2, [])


def test_a_task_is_asked_by_its_fields(service: FakeService, run: Run) -> None:
    service.on("POST /v1/generate", {"version": "m@1", "choices": [{"text": " ember"}]})
    told = run("generate", "m", "--task", "codes", "--input", "text=a=b", "--input", '{"n": 1}')
    assert (told.stdout, told.stderr.strip()) == ("ember\n", "m@1")
    assert service.sent()["input"] == {"text": "a=b", "n": 1}


def test_how_to_sample_and_what_to_choose_from_are_options(service: FakeService, run: Run) -> None:
    service.on("POST /v1/generate", {"choices": [{"text": " basalt"}, {"text": " ember"}]})
    told = run(
        "generate", "m", "p", "--n", "2", "--choice", " basalt", "--choice", " ember", "--top-p", "0.9", "--top-k", "5",
        "--repetition-penalty", "1.1", "--temperature", "1",
    )  # fmt: skip
    assert told.stdout == "basalt\nember\n"
    sent = service.sent()
    assert (sent["n"], sent["choices"], sent["top_k"]) == (2, [" basalt", " ember"], 5)
    assert (sent["top_p"], sent["repetition_penalty"], sent["temperature"]) == (0.9, 1.1, 1.0)
    assert "stop" not in sent


def test_a_stream_is_printed_as_it_comes(service: FakeService, run: Run) -> None:
    body = b'data: {"version": "m@1", "choices": [{"text": "am"}]}\n\ndata: {"choices": [{"text": "ber"}]}\n\ndata: [DONE]\n\n'
    service.on("POST /v1/generate", httpx.Response(200, content=body))
    told = run("generate", "m", "p", "--stream")
    assert (told.stdout, told.stderr.strip()) == ("amber\n", "m@1")
    pieces = run("generate", "m", "p", "--stream", "--json").stdout.splitlines()
    assert [json.loads(piece)["choices"][0]["text"] for piece in pieces] == ["am", "ber"]


def test_an_answer_cannot_drive_the_terminal(service: FakeService, run: Run) -> None:
    service.on("POST /v1/generate", {"choices": [{"text": "\x1b[2Jgone\x07"}]})
    assert run("generate", "m", "p").stdout == "[2Jgone\n"


def test_the_matrix_shows_tasks_scores_and_figures(service: FakeService, run: Run) -> None:
    service.on("GET /v1/models/m/evaluations", MATRIX)
    told = run("models", "matrix", "m").stdout
    for word in ("desk", "codes", "0.850", "base, by option", "0.1000%", "BWT", "-0.050"):
        assert word in told
