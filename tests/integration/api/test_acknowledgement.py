"""What is acknowledged is stored: the job can be seen, and survives, before its 202 is on the way."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import stage
from doors import Door, labelled
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from api.main import create_app
from core.registry.work import Registry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore

Message = MutableMapping[str, Any]

TESTS = Path(__file__).parents[2]
SUBMIT_AND_DIE = """
import os, sys
import stage
from core.registry.work import Registry
from core.services import tasks

class DiesOnceCommitted:
    def wake(self, job_id):
        os._exit(137)

with Registry(sys.argv[1]).write() as work:
    posted = stage.submission(work, "t")
    tasks.submit(work, project_id=stage.PROJECT, submission=posted, dispatcher=DiesOnceCommitted())
    if sys.argv[2] == "before":
        os._exit(137)
"""


def count_jobs(database_url: str) -> int:
    """Count tasks' jobs over a connection that has seen nothing of what others have not committed."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM job WHERE kind = 'train'")).scalar_one()
    engine.dispose()
    return int(found)


class Witness:
    """Around the application: counts the jobs that can be seen at the moment when an answer begins."""

    def __init__(self, app: Any, database_url: str) -> None:
        self.app = app
        self.database_url = database_url
        self.seen: list[tuple[int, int]] = []

    async def __call__(self, scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] == "/v1/tasks":
                self.seen.append((message["status"], count_jobs(self.database_url)))
            await send(message)

        await self.app(scope, receive, watched)


def test_a_job_can_be_seen_by_everybody_before_its_202_is_sent(
    settings: Settings, registry: Registry, database_url: str
) -> None:
    stage.ready_base(registry)
    stage.new_model(registry)
    ports: dict[str, Any] = {"dispatcher": stage.Wakes(), "generator": None}
    app = create_app(settings, registry=registry, blobs=LocalBlobStore(settings.blobs_dir), **ports)
    witness = Witness(app, database_url)
    with TestClient(witness, base_url="http://127.0.0.1:8321") as client:
        for n, key in enumerate(("", "a-key", "a-key")):
            files = {"file": ("rows.jsonl", labelled(20, start=100 * min(n, 1)))}
            fields = {"model": "desk", "name": f"task-{min(n, 1)}"}
            client.post("/v1/tasks", data=fields, files=files, headers={"Idempotency-Key": key} if key else {})
    assert witness.seen == [(202, 1), (202, 2), (202, 2)]


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(("died", "left"), [("before", 0), ("after", 1)])
def test_a_process_that_dies_leaves_the_whole_job_or_nothing(
    door: Door, database_url: str, died: str, left: int
) -> None:
    command = [sys.executable, "-c", SUBMIT_AND_DIE, database_url, died]
    environment = {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == 137
    assert count_jobs(database_url) == left
    assert len(door.client.get("/v1/jobs?model=desk").json()["data"]) == left
