"""Keys and quotas, through the client and as typed."""

import json
from collections.abc import Callable

import httpx
import pytest
from fake_service import FakeService, problem
from typer.testing import CliRunner, Result

from strata import Client
from strata.cli.app import app
from strata.cli.session import Session
from strata.client import AuthenticationError, RateLimitedError

Run = Callable[..., Result]
KEY = {"id": "key_1", "name": "ci", "hint": "strata_ab12cd", "scopes": ["read", "train"]}
SECRET = "strata_ab12cdef"


@pytest.fixture
def run(service: FakeService) -> Run:
    def connect(url: str, api_key: str | None) -> Client:
        return Client(url, api_key, transport=httpx.MockTransport(service.handle))

    def typed(*words: str) -> Result:
        session = Session(url="http://strata.test", connect=connect)
        return CliRunner().invoke(app, list(words), obj=session, env={"COLUMNS": "200"}, catch_exceptions=False)

    return typed


def test_a_key_is_made_and_alone_on_stdout(service: FakeService, run: Run) -> None:
    service.on("POST /v1/keys", {**KEY, "key": SECRET}, status=201)
    told = run("keys", "create", "ci", "--scope", "train", "--scope", "read", "--expires-in-days", "1")
    assert (told.exit_code, told.stdout) == (0, f"{SECRET}\n")
    assert service.sent() == {"name": "ci", "scopes": ["train", "read"], "expires_in_seconds": 86400}
    assert SECRET not in told.stderr
    assert json.loads(run("keys", "create", "ci", "--scope", "read", "--json").stdout)["key"] == SECRET


def test_a_key_is_not_shown_by_accident(service: FakeService, client: Client) -> None:
    service.on("POST /v1/keys", {**KEY, "key": SECRET}, status=201)
    made = client.keys.create("ci", scopes=["read"])
    assert made.key == SECRET
    assert SECRET not in repr(made)


def test_keys_are_listed_and_revoked(service: FakeService, run: Run) -> None:
    service.on("GET /v1/keys", {"object": "list", "data": [KEY], "has_more": False})
    service.on("DELETE /v1/keys/key_1", {"id": "key_1", "object": "key", "deleted": True})
    assert "read, train" in run("keys", "list").stdout
    assert json.loads(run("keys", "list", "--json").stdout)[0]["name"] == "ci"
    assert run("keys", "revoke", "key_1").exit_code == 0
    assert service.requests[-1].url.path == "/v1/keys/key_1"


def test_a_scope_that_is_none_is_refused_before_anything_is_sent(service: FakeService, run: Run) -> None:
    assert run("keys", "create", "ci", "--scope", "everything").exit_code == 2
    assert service.requests == []


def test_quotas_are_sent_as_given_and_null_lifts_one(service: FakeService, client: Client) -> None:
    shown = {"id": "prj_1", "name": "home", "max_open_jobs": 3, "open_jobs": 1, "bytes": 10}
    service.on("PATCH /v1/projects/own", shown)
    service.on("GET /v1/projects/own", shown)
    assert client.projects.set_quotas(max_open_jobs=3, max_bytes=None).max_open_jobs == 3
    assert service.sent() == {"max_open_jobs": 3, "max_bytes": None}
    assert client.projects.own().open_jobs == 1


def test_a_refusal_says_what_to_do(service: FakeService, client: Client) -> None:
    service.on("GET /v1/keys", problem(403, "missing_scope", "this call needs a key with the scope 'admin'"))
    with pytest.raises(AuthenticationError) as refused:
        list(client.keys.list())
    assert "strata keys create" in (refused.value.next_step or "")
    service.on("GET /v1/keys", problem(429, "rate_limited", "too often"))
    with pytest.raises(RateLimitedError):
        list(client.keys.list())
