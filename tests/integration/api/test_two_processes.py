"""Two API processes over one registry: what one of them did the other knows, also while the registry is locked or away."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import api_processes
import httpx
import pytest
import stage
from doors import labelled
from sqlalchemy import func, make_url, select

from core.registry.tables import JOB
from core.registry.work import Registry

CALLERS = 20
LONGEST_SECONDS = 5.0


@pytest.fixture
def clients(registry: Registry, database_url: str, tmp_path: Path) -> Iterator[list[httpx.Client]]:
    stage.ready_base(registry)
    stage.new_model(registry)
    with api_processes.serving(database_url, tmp_path / "data", processes=2) as answering:
        yield answering


def count(registry: Registry) -> int:
    with registry.read() as work:
        return int(work.connection.execute(select(func.count()).where(JOB.c.kind == "train")).scalar_one())


def test_one_key_many_callers_two_processes_one_job(registry: Registry, clients: list[httpx.Client]) -> None:
    uploaded = clients[0].post("/v1/datasets", files={"file": ("rows.jsonl", labelled(20))}).json()
    gate = threading.Barrier(2 * CALLERS)

    def post(n: int) -> httpx.Response:
        gate.wait()
        return clients[n % 2].post("/v1/tasks", json=body("codes"), headers={"Idempotency-Key": "one-key"})

    def body(name: str) -> dict[str, str]:
        return {"model": "desk", "name": name, "dataset_id": uploaded["id"]}

    with ThreadPoolExecutor(2 * CALLERS) as threads:
        answers = list(threads.map(post, range(2 * CALLERS)))

    assert {answer.status_code for answer in answers} == {202}, {answer.text for answer in answers}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert (replayed.count(None), replayed.count("true")) == (1, 2 * CALLERS - 1)
    other = clients[1].post("/v1/tasks", json=body("other"), headers={"Idempotency-Key": "one-key"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert count(registry) == 1


def timed(client: httpx.Client, method: str, path: str, **request: Any) -> tuple[float, httpx.Response]:
    began = time.monotonic()
    answer = client.request(method, path, **request)
    return time.monotonic() - began, answer


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_registry_that_is_locked_is_told_in_time_and_loses_nothing(
    clients: list[httpx.Client], database_url: str, registry: Registry
) -> None:
    """Another program holds the whole file: readers and writers wait, but not for long."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/jobs", {}),
        ("GET", "/v1/models/desk", {}),
        *[("POST", "/v1/models", {"json": {"name": f"m-{n}", "base_model": "tiny"}}) for n in range(6)],
    ]
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(len(calls)) as threads:
            told = list(threads.map(lambda call: timed(clients[0], call[0], call[1], **call[2]), calls))
        holder.execute("ROLLBACK")

    for seconds, answer in told:
        assert (answer.status_code, answer.json()["code"]) == (503, "registry_unavailable")
        assert answer.headers["retry-after"]
        assert seconds < LONGEST_SECONDS
    assert clients[0].post("/v1/models", json={"name": "m-0", "base_model": "tiny"}).status_code == 201
    with registry.read() as work:
        names = work.connection.exec_driver_sql("SELECT name FROM model ORDER BY name").scalars().all()
    assert names == ["desk", "m-0"]
