"""Readiness tells the truth: each part by itself, and whether calls can be answered at all."""

from dataclasses import replace
from pathlib import Path

import pytest
from doors import Door, prompted
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient

from api.asgi import build
from api.main import assemble
from core.domain.errors import UnavailableError
from core.registry.work import Registry
from core.settings import Settings
from migrations.commands import revisions

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PARTS = {"api", "registry", "schema", "storage", "engine"}


def at_revision(registry: Registry, name: str) -> None:
    with registry.write() as work:
        work.connection.execute(text("UPDATE alembic_version SET version_num = :name"), {"name": name})


def test_a_service_of_which_every_part_answers_is_ready(door: Door) -> None:
    answer = door.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "parts": dict.fromkeys(PARTS, "ok")}


def test_with_the_engine_away_tasks_are_still_taken_and_readiness_says_so(desk: Door) -> None:
    desk.echo.fault = UnavailableError("the engine does not answer", code="engine_unavailable")
    answer = desk.client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["parts"]["engine"] == "engine_unavailable"
    assert desk.post_task(file=prompted(30)).status_code == 202


def test_without_a_registry_nothing_can_be_answered(tmp_path: Path) -> None:
    away = f"sqlite:///{tmp_path}/nowhere/registry.sqlite"
    app = build(Settings(data_dir=tmp_path, database_url=away, metrics_token=SecretStr("scrape-me")))
    client = TestClient(app, base_url="http://127.0.0.1:8321", raise_server_exceptions=False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "registry_unavailable")
    assert answer.json()["errors"][0]["loc"] == ["registry"]
    assert client.get("/healthz").json() == {"status": "ok", "parts": {"api": "ok"}}
    scraped = client.get("/metrics", headers={"Authorization": "Bearer scrape-me"})
    assert "strata_registry_up 0.0" in scraped.text
    app.state.context.generator.close()


@on_sqlite
def test_the_schema_of_an_earlier_release_is_not_served_and_that_of_a_later_one_is(door: Door) -> None:
    newest, before, *_ = revisions()
    at_revision(door.registry, before)
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "schema_behind")
    assert newest in answer.json()["detail"]
    at_revision(door.registry, "9999")
    assert door.client.get("/readyz").json()["parts"]["schema"] == "ok"


@on_sqlite
def test_a_storage_that_cannot_be_written_is_named(door: Door) -> None:
    door.settings.data_dir.mkdir(exist_ok=True)
    door.settings.uploads_dir.write_text("a file where a folder should be")
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["storage"]) == (200, "storage_unavailable")


@on_sqlite
def test_with_less_free_than_must_remain_uploads_are_turned_away_and_the_rest_goes_on(desk: Door) -> None:
    known = desk.client.app.state.context  # type: ignore[attr-defined]
    crowded = replace(known, settings=desk.settings.model_copy(update={"min_free_bytes": 1 << 60}))
    client = TestClient(assemble(crowded), base_url="http://127.0.0.1:8321")
    assert client.get("/readyz").json()["parts"]["storage"] == "disk_full"
    answer = client.post("/v1/tasks", data=desk.fields, files={"file": ("a.jsonl", prompted(30))})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert client.get("/v1/models").json()["data"][0]["name"] == "desk"
