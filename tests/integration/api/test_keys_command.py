"""The operator's command: keys and quotas on the registry itself, without a running service."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from doors import Door
from sqlalchemy import select
from tenants import Tenant
from typer.testing import CliRunner, Result

from api.keys import app
from core.registry import tables

Run = Callable[..., Result]
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "open-it-to-others.md"


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    surroundings = {"STRATA_DATABASE_URL": database_url, "STRATA_DATA_DIR": str(tmp_path), "COLUMNS": "200"}

    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, words, env=surroundings, catch_exceptions=False)

    return typed


def made(run: Run, *words: str) -> str:
    told = run("create", *words)
    assert told.exit_code == 0, told.output
    return told.stdout.strip()


def bearer(door: Door, key: str) -> Tenant:
    return Tenant(door, "", "", key)


def test_the_first_key_opens_a_running_service(door: Door, run: Run) -> None:
    key = made(run, "ops", "--scope", "admin")
    assert re.fullmatch(r"strata_[0-9a-f]{48}", key)
    assert bearer(door, key).ok("GET", "/v1/keys")["data"][0]["project_id"] == "prj_default"
    assert door.client.get("/v1/models").status_code == 401


def test_a_project_is_made_with_its_first_key(door: Door, run: Run) -> None:
    first = made(run, "ops", "--scope", "read", "--scope", "train", "--project", "acme", "--expires-in-days", "2")
    second = made(run, "ci", "--scope", "read", "--project", "acme")
    shown = [bearer(door, key).ok("GET", "/v1/projects/own") for key in (first, second)]
    assert shown[0] == shown[1]
    assert shown[0]["name"] == "acme"
    assert [line.split()[2] for line in run("list", "--project", "acme").stdout.splitlines()] == ["ops", "ci"]
    assert run("list").stdout == ""
    with door.registry.read() as work:
        actors = work.connection.scalars(select(tables.EVENT.c.actor).where(tables.EVENT.c.kind == "created")).all()
    assert actors.count("operator") == 3


def test_a_key_is_revoked_by_its_id(door: Door, run: Run) -> None:
    key = made(run, "ops", "--scope", "read")
    key_id = run("list").stdout.split()[0]
    assert run("revoke", key_id).exit_code == 0
    assert bearer(door, key).call("GET", "/v1/models").status_code == 401
    again = run("revoke", key_id)
    assert (again.exit_code, again.stderr) == (1, "error: there is no such key\n")


def test_quotas_are_shown_and_changed_by_name(door: Door, run: Run) -> None:
    key = made(run, "ops", "--scope", "read")
    shown = run("quotas", "--max-open-jobs", "4", "--max-bytes", "1000000000000").stdout
    given = {
        "max_open_jobs": "4",
        "max_bytes": "1000000000000",
        "max_requests_per_minute": "none",
        "max_generations": "none",
    }
    assert dict(line.split() for line in shown.splitlines()) == given
    assert bearer(door, key).ok("GET", "/v1/projects/own")["max_open_jobs"] == 4
    assert run("quotas", "--max-open-jobs", "none").stdout.split()[1] == "none"
    assert run("quotas").stdout.split()[3] == "1000000000000"
    for wrong in ("-1", "many", "99999999999"):
        assert run("quotas", "--max-open-jobs", wrong).exit_code == 2


def test_what_cannot_be_is_one_line(run: Run, tmp_path: Path) -> None:
    assert run("create", "Not A Name", "--scope", "read").stderr.startswith("error: not a valid name\n  name: must")
    assert run("list", "--project", "nobody").stderr == "error: there is no such project\n"
    assert run("create", "ops", "--scope", "everything").exit_code == 2
    elsewhere = {"STRATA_DATABASE_URL": f"sqlite:///{tmp_path / 'none.sqlite'}"}
    bare = CliRunner().invoke(app, ["create", "ops", "--scope", "read"], env=elsewhere)
    assert bare.exit_code == 1
    assert "python -m migrations" in bare.stderr


def test_the_commands_of_the_how_to_page_run_as_printed(run: Run) -> None:
    printed = re.findall(r"^python -m api\.keys (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(printed) == 3
    for line in printed:
        assert run(*shlex.split(line, comments=True)).exit_code == 0, line
