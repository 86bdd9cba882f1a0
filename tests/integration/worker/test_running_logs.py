"""The logs of a running API and a running worker: whose request and which job each line is of, and what is in none."""

import dataclasses
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from installation import Installation, await_that

from core.domain.access import Scope
from core.domain.jobs import JobState
from core.services import jobs, keys
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CANARY = "the-canary-sings-at-midnight"
FORGED = "evil%0alevel=forged%1b[31m"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listening(installation: Installation) -> Installation:
    settings = installation.settings.model_copy(update={"api_port": free_port(), "log_format": "json"})
    return dataclasses.replace(installation, settings=settings)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def post_task(client: httpx.Client) -> str:
    rows = b"".join(json.dumps({"prompt": f"{CANARY} {n}?", "completion": f" {n}"}).encode() + b"\n" for n in range(40))
    answer = client.post(
        "/v1/tasks",
        data={"model": "support", "name": "ok-story"},
        files={"file": ("rows.jsonl", rows)},
        headers={"X-Request-Id": "story-1"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def say_what_must_not_be_logged(client: httpx.Client, key: str) -> None:
    assert client.post("/generate", json={"model": "support", "prompt": CANARY}).status_code == 503
    assert client.post("/generate", json={"model": "support", "prompt": [CANARY]}).status_code == 422
    for path in (f"/v1/models?api_key={key}", f"/v1/jobs/{key}", f"/v1/models/{FORGED}", f"/{CANARY}"):
        assert client.get(path).is_client_error


def story(listening: Installation) -> tuple[str, str]:
    """Let a task be posted and learned; return the job's id and the key that opened the door."""
    with listening.registry.write() as work:
        _, key = keys.create(work, project_id=PROJECT, name="ops", scopes=[Scope.ADMIN])
    headers = {"Authorization": f"Bearer {key}"}
    url = f"http://127.0.0.1:{listening.settings.api_port}"
    with listening.worker("api"), httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        await_that(lambda: answers(client))
        job_id = post_task(client)
        say_what_must_not_be_logged(client, key)
        with listening.worker():
            with listening.registry.read() as work:
                job = jobs.get(work, project_id=PROJECT, job_id=job_id)
            assert listening.await_end(job).state is JobState.SUCCEEDED
    return job_id, key


def test_lines_tell_whose_they_are_and_hold_no_secret(listening: Installation) -> None:
    job_id, key = story(listening)
    text = (listening.settings.data_dir / "worker.log").read_text()
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.removesuffix("\n").split("\n")]

    assert all({"timestamp", "level", "event"} <= set(line) for line in lines)
    posted = next(line for line in lines if line["event"] == "request.answered" and line["route"] == "/v1/tasks")
    assert (posted["request_id"], posted["method"], posted["status"]) == ("story-1", "POST", 202)
    assert posted["project_id"] == PROJECT
    assert posted["actor"].startswith("key_")
    queued = next(line for line in lines if line["event"] == "task.queued")
    assert (queued["request_id"], queued["job_id"], queued["project_id"]) == ("story-1", job_id, PROJECT)
    claimed, started, ended, finished = (
        next(line for line in lines if line["event"] == event and line["job_id"] == job_id)
        for event in ("job.claimed", "trainer.started", "trainer.ended", "job.finished")
    )
    for line in (claimed, started, ended, finished):
        assert line["model_id"] == queued["model_id"]
        assert line["project_id"] == PROJECT
        assert line["fence"] == claimed["fence"] >= 1
    asked = [line for line in lines if line["event"] == "request.answered" and line["route"] == "/v1/jobs/{job_id}"]
    assert asked
    assert not any("job_id" in line for line in asked), "a key in a path is no name"

    written = text + "".join(path.read_text() for path in listening.settings.jobs_dir.rglob("trainer.log"))
    secret = key.removeprefix("strata_")[6:]
    assert CANARY not in written
    assert secret not in written
    assert "forged" not in written
    assert all(character.isprintable() or character == "\n" for character in written)
    assert_kept_nowhere(listening.settings.data_dir, secret)


def assert_kept_nowhere(folder: Path, secret: str) -> None:
    assert not [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
