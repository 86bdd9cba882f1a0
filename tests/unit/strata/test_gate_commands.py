"""The gate on the command line: why a job was rejected, and what to do next."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_service import FakeService, job
from rich.console import Console
from typer.testing import CliRunner, Result

from strata import Client
from strata.cli.app import app
from strata.cli.session import Session

Run = Callable[..., Result]

POLICY = {"enabled": True, "floor": None, "max_single_drop": 0.3, "confidence": 0.9999, "min_rows": 20}
SAYS = "billing went from 0.950 to 0.210 on 60 rows, a drop of 0.740; 0.3 is allowed"
DROP = {"task": "billing", "metric": "exact_match", "before": 0.95, "after": 0.21, "drop": 0.74, "drop_low": 0.6}
GATE: dict[str, Any] = {
    "verdict": "failed",
    "rules": [
        {"rule": "floor", "verdict": "not_judged", "says": "the policy asks for no least score"},
        {"rule": "single_drop", "verdict": "failed", "limit": 0.3, "figures": {"drop": 0.74}, "says": SAYS},
    ],
    "drops": [{**DROP, "n_rows": 60}],
    "policy": POLICY,
}
REJECTED = job("rejected", gate=GATE, error={"code": "gate_rejected", "detail": f"single_drop: {SAYS}"})


@pytest.fixture
def run(service: FakeService) -> Run:
    def connect(url: str, api_key: str | None) -> Client:
        return Client(url, api_key, transport=httpx.MockTransport(service.handle))

    def typed(*words: str) -> Result:
        session = Session(url="http://strata.test", connect=connect, results=Console(highlight=False, width=200))
        return CliRunner().invoke(app, list(words), obj=session, catch_exceptions=False)

    return typed


def test_who_watches_a_rejected_job_is_told_why_and_what_to_do_next(service: FakeService, run: Run) -> None:
    service.on("GET /v1/jobs/job_1", REJECTED)
    told = run("jobs", "watch", "job_1")
    assert told.exit_code == 1
    assert SAYS in told.stderr
    assert "strata models gate MODEL" in told.stderr
    assert "strata jobs retry JOB" in told.stderr


@pytest.mark.parametrize("words", [("jobs", "show", "job_1"), ("versions", "show", "ver_1")], ids=" ".join)
def test_the_report_is_shown_with_every_rule_and_drop(words: tuple[str, ...], service: FakeService, run: Run) -> None:
    service.on("GET /v1/jobs/job_1", REJECTED)
    service.on("GET /v1/versions/ver_1", {"id": "ver_1", "number": 1, "state": "rejected", "gate": GATE})
    told = run(*words)
    assert told.exit_code == 0
    for text in ("single_drop", "not_judged", SAYS, "billing", "0.740"):
        assert text in told.stdout


def test_a_policy_is_shown_and_changed_by_what_is_given(service: FakeService, run: Run) -> None:
    model = {"id": "mdl_1", "name": "m", "policy": {"store_rows": False, "gate": POLICY}}
    service.on("GET /v1/models/m", model)
    service.on("PATCH /v1/models/m", model)
    shown = run("models", "gate", "m").stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["enabled", "yes"],
        ["floor", "none"],
        ["max_single_drop", "0.3"],
        ["confidence", "0.9999"],
        ["min_rows", "20"],
    ]
    run("models", "gate", "m", "--max-single-drop", "0.4", "--no-floor", "--off", "--at-chance")
    assert service.sent() == {
        "policy": {"gate": {"enabled": False, "above_chance": False, "max_single_drop": 0.4, "floor": None}}
    }
    assert run("models", "gate", "m", "--json").stdout.startswith('{"enabled": true')
