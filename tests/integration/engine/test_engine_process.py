"""The engine as it runs: a process of its own, a socket, a registry, and callers while versions change."""

import json
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest
from served import EngineProcess
from stage import PROJECT

from core.domain.versions import VersionState
from core.services import versions
from tests.integration.engine.conftest import Studio

ASK = {"prompt": "The harbour office", "max_tokens": 12}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Return a path short enough for a socket, wherever the tests' folders are."""
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        yield Path(folder) / "engine.sock"


@pytest.fixture
def engine(studio: Studio, database_url: str, socket_path: Path, tmp_path: Path) -> Iterator[EngineProcess]:
    assert studio.registry
    process = EngineProcess(tmp_path / "data", database_url, socket_path)
    try:
        process.await_ready()
        yield process
    finally:
        process.process.kill()
        process.process.wait(30)


class Callers:
    """Threads that ask the same thing over and over, and note every answer."""

    def __init__(self, engine: EngineProcess, reference: str, count: int) -> None:
        self.answers: list[dict[str, object]] = []
        self.failures: list[str] = []
        self._engine = engine
        self._reference = reference
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n % 2 == 0,)) for n in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, stream: bool) -> None:  # noqa: FBT001 - a thread's argument
        with self._engine.client() as client:
            while not self._stop.is_set():
                try:
                    body = {**ASK, "model": self._reference}
                    self.answers.append(streamed(client, body) if stream else complete(client, body))
                except (httpx.HTTPError, AssertionError, KeyError) as error:
                    self.failures.append(repr(error))


def complete(client: httpx.Client, body: dict[str, object]) -> dict[str, object]:
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    return {"version_id": answer["version_id"], "text": answer["choices"][0]["text"]}


def streamed(client: httpx.Client, body: dict[str, object]) -> dict[str, object]:
    with client.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        assert response.status_code == 200
        pieces = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert pieces.pop() == "[DONE]"
    read = [json.loads(piece) for piece in pieces]
    assert len({piece["version_id"] for piece in read}) == 1
    assert read[-1]["choices"][0]["finish_reason"] is not None
    assert read[-1]["usage"]["completion_tokens"] > 0
    return {
        "version_id": read[0]["version_id"],
        "text": "".join(piece["choices"][0]["text"] for piece in read),
    }


def test_versions_change_under_load_and_every_answer_is_one_versions(studio: Studio, engine: EngineProcess) -> None:
    zero = studio.model("desk")
    reference = f"{zero.model_id}:latest"
    known = [zero.id]
    with engine.client() as client, Callers(engine, reference, 4) as callers:
        assert complete(client, {**ASK, "model": reference})["version_id"] == zero.id
        for n in range(3):
            published = studio.learn("desk", f"task-{n}", seed=n)
            committed = time.monotonic()
            client.post("/v1/refresh").raise_for_status()
            while complete(client, {**ASK, "model": reference})["version_id"] != published.id:
                assert time.monotonic() - committed < 30
            known.append(published.id)
        expected = {version_id: complete(client, {**ASK, "model": version_id})["text"] for version_id in known}
    assert callers.failures == []
    assert {answer["version_id"] for answer in callers.answers} == set(known)
    assert all(answer["text"] == expected[str(answer["version_id"])] for answer in callers.answers)
    assert len(set(expected.values())) == len(known)


def test_a_damaged_version_is_marked_corrupt_and_the_one_before_goes_on(studio: Studio, engine: EngineProcess) -> None:
    zero = studio.model("desk")
    first = studio.learn("desk", "task-1", seed=1)
    reference = f"{zero.model_id}:latest"
    publish = studio.shelf.artefacts.publish

    def damaged(folder: Path, *, key: str) -> None:
        publish(folder, key=key)
        delta = studio.shelf.artefacts.path(key) / "delta.safetensors"
        delta.write_bytes(delta.read_bytes()[:-1] + b"\x42")

    with engine.client() as client, Callers(engine, reference, 2) as callers:
        assert complete(client, {**ASK, "model": reference})["version_id"] == first.id
        studio.shelf.artefacts.publish = damaged  # type: ignore[method-assign]
        second = studio.learn("desk", "task-2", seed=2)
        deadline = time.monotonic() + 30
        while studio.head("desk").id != first.id:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert complete(client, {**ASK, "model": reference})["version_id"] == first.id
        refused = client.post("/v1/completions", json={**ASK, "model": second.id})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert callers.failures == []
    assert {answer["version_id"] for answer in callers.answers} == {first.id}
    with studio.registry.read() as work:
        state = versions.get(work, project_id=PROJECT, version_id=second.id).state
    assert state is VersionState.CORRUPT


def test_a_restarted_engine_answers_by_the_last_version(
    studio: Studio, engine: EngineProcess, database_url: str, socket_path: Path, tmp_path: Path
) -> None:
    zero = studio.model("desk")
    last = studio.learn("desk", "task-1", seed=1)
    assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o600
    with engine.client() as client:
        before = complete(client, {**ASK, "model": f"{zero.model_id}:latest"})
    engine.process.send_signal(signal.SIGKILL)
    engine.process.wait(30)
    again = EngineProcess(tmp_path / "data", database_url, socket_path)
    try:
        again.await_ready()
        with again.client() as client:
            assert complete(client, {**ASK, "model": f"{zero.model_id}:latest"}) == before
            live = client.get("/healthz").json()
    finally:
        code = again.stop()
    assert before["version_id"] == last.id
    assert {version["version_id"] for version in live["live"]} >= {last.id}
    assert live["resident_bytes"] > live["unique_bytes"] > 0
    assert code == 0
    assert not again.socket.exists()


def test_an_engine_that_is_told_to_stop_completes_the_answers_under_way(studio: Studio, engine: EngineProcess) -> None:
    body = {**ASK, "model": f"{studio.model('desk').model_id}:latest", "max_tokens": 400, "stream": True}
    with engine.client() as client, client.stream("POST", "/v1/completions", json=body) as response:
        lines = (line for line in response.iter_lines() if line)
        assert json.loads(next(lines).removeprefix("data: "))["choices"][0]["finish_reason"] is None
        engine.process.send_signal(signal.SIGTERM)
        *_, last, done = lines
    assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] > 0
    assert done == "data: [DONE]"
    assert engine.process.wait(30) == 0
