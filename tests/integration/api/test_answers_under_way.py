"""How many answers may be under way, and what becomes of those whose caller leaves: over real HTTP, with real engines."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stage
from loopback import served
from pydantic import SecretStr

from api.main import create_app
from core.backends import assembly
from core.domain.access import Scope
from core.domain.backends import EngineEntry
from core.registry.work import Registry
from core.services import keys, models, projects, versions
from core.settings import Settings
from core.storage.blobs import LocalBlobStore
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MOST = 3


@dataclass
class Site:
    """An API in front of engines, and what it holds."""

    url: str
    app: Any
    registry: Registry
    engines: tuple[FakeEngine, ...]
    model_id: str
    version_id: str

    def ask(self, client: httpx.Client | None = None, **body: Any) -> httpx.Response:
        caller = client or httpx
        return caller.post(f"{self.url}/v1/generate", json={"model": "desk", "prompt": "x", **body}, timeout=30)

    def under_way(self, project_id: str = stage.PROJECT) -> int:
        return int(self.app.state.generation_room.under_way(project_id))


@contextmanager
def site(registry: Registry, tmp_path: Path, *engines: FakeEngine, most: int = MOST, **said: Any) -> Iterator[Site]:
    stage.ready_base(registry)
    with registry.write() as work:
        model = models.create(work, project_id=stage.PROJECT, name="desk", base_model="tiny", method={})
        version_id = versions.resolve(work, project_id=stage.PROJECT, reference="desk").id
    with ExitStack() as running:
        entries = [
            EngineEntry(kind="engine", name=engine.name, address=running.enter_context(served(engine.app())))
            for engine in engines
        ]
        for engine in engines:
            engine.live = {version_id: ["latest"]}
        settings = Settings(data_dir=tmp_path / "data", project_max_generations=most, **said)
        pool = assembly.pool(entries, engine_secret=SecretStr("s"), timeout_seconds=20, poll_seconds=0.05)
        running.callback(pool.close)
        app = create_app(
            settings,
            registry=registry,
            blobs=LocalBlobStore(settings.blobs_dir),
            dispatcher=stage.Wakes(),
            generator=pool,
        )
        url = running.enter_context(served(app))
        yield Site(url, app, registry, engines, model.id, version_id)


def test_one_answer_too_many_at_once_is_refused_until_one_is_over(registry: Registry, tmp_path: Path) -> None:
    slow = FakeEngine("slow")
    slow.answer_seconds = 0.5
    with site(registry, tmp_path, slow) as made:
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda n: made.ask(stream=n % 2 == 0), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * MOST + [429] * (8 - MOST)
        for answer in answers:
            if answer.status_code == 429:
                assert (answer.json()["code"], answer.headers["retry-after"]) == ("too_many_generations", "1")
        assert len(slow.asked) == MOST
        assert made.under_way() == 0
        assert made.ask().status_code == 200


def test_a_stream_counts_until_its_end_and_no_longer_when_its_reader_leaves(registry: Registry, tmp_path: Path) -> None:
    slow = FakeEngine("slow")
    slow.answer_seconds = 0.4
    body = {"model": "desk", "prompt": "x", "stream": True}
    with site(registry, tmp_path, slow, most=1) as made, httpx.Client(timeout=30) as client:
        with client.stream("POST", f"{made.url}/v1/generate", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            assert made.ask().status_code == 429
            assert [line for line in lines if line][-1] == "data: [DONE]"
        until(lambda: made.under_way() == 0)
        with client.stream("POST", f"{made.url}/v1/generate", json=body) as stream:
            next(stream.iter_lines())
        until(lambda: made.under_way() == 0)
        until(lambda: slow.left == 1)
        assert made.ask().status_code == 200


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_who_leaves_before_the_answer_begins_ends_it_at_the_engine(
    registry: Registry, tmp_path: Path, way: str
) -> None:
    stuck = FakeEngine("stuck")
    stuck.answer_seconds = 60
    stuck.begins_after = 60
    with site(registry, tmp_path, stuck, most=1) as made:
        hang_up(made, stream=way == "stream")
        until(lambda: stuck.left == 1)
        until(lambda: made.under_way() == 0)
        metrics = httpx.get(f"{made.url}/metrics").text
    assert 'strata_engine_requests_held{engine="stuck"} 0.0' in metrics


def test_a_projects_own_quota_goes_before_the_services_and_others_do_not_feel_it(
    registry: Registry, tmp_path: Path
) -> None:
    slow = FakeEngine("slow")
    slow.answer_seconds = 0.5
    with site(registry, tmp_path, slow, most=2) as made:
        with registry.write() as work:
            _, key = keys.create(work, project_id=stage.PROJECT, name="k", scopes=[Scope.ADMIN])
            other = projects.ensure_named(work, name="abroad").id
            _, foreign = keys.create(work, project_id=other, name="k", scopes=[Scope.ADMIN])
        with registry.write() as work:
            models.create(work, project_id=other, name="desk", base_model="tiny", method={})
        home = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30)
        abroad = httpx.Client(headers={"Authorization": f"Bearer {foreign}"}, timeout=30)
        with home, abroad:
            shown = home.patch(f"{made.url}/v1/projects/own", json={"max_generations": 1}).json()
            assert shown["max_generations"] == 1
            with ThreadPoolExecutor(6) as callers:
                told = list(callers.map(lambda n: made.ask(home if n < 3 else abroad).status_code, range(6)))
            assert sorted(told[:3]) == [200, 429, 429]
            assert sorted(told[3:]) == [200, 200, 429] or sorted(told[3:]) == [404, 404, 429]
            home.patch(f"{made.url}/v1/projects/own", json={"max_generations": 0})
            assert made.ask(home).json()["code"] == "too_many_generations"


def test_the_wait_for_a_thread_counts_against_the_requests_own_time(registry: Registry, tmp_path: Path) -> None:
    slow = FakeEngine("slow")
    with site(registry, tmp_path, slow) as made:
        assert made.ask(timeout_seconds=5).status_code == 200
        assert 0 < slow.asked[0]["timeout_seconds"] < 5
        late = made.ask(timeout_seconds=1e-6)
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        assert len(slow.asked) == 1


def test_each_engine_is_told_of_by_its_name(registry: Registry, tmp_path: Path) -> None:
    first, second = FakeEngine("first"), FakeEngine("second")
    with site(registry, tmp_path, first, second) as made:
        assert httpx.get(f"{made.url}/readyz").json()["parts"]["engine second"] == "ok"
        second.is_well = False
        ready = httpx.get(f"{made.url}/readyz").json()
        assert (ready["status"], ready["parts"]["engine"]) == ("degraded", "ok")
        assert (ready["parts"]["engine first"], ready["parts"]["engine second"]) == ("ok", "unavailable")
        for _ in range(3):
            assert made.ask().json()["version"] == "desk@0"
        told = httpx.get(f"{made.url}/metrics").text
        assert 'strata_engine_up{engine="first"} 1.0' in told
        assert 'strata_engine_up{engine="second"} 0.0' in told
        assert 'strata_engine_tokens_total{engine="first",kind="prompt"} 3.0' in told
        assert told.count("# TYPE strata_engine_tokens_total") == 1
        first.is_well = False
        assert httpx.get(f"{made.url}/readyz").json()["parts"]["engine"] == "unavailable"


def test_the_time_to_come_back_that_an_engine_tells_reaches_the_caller(registry: Registry, tmp_path: Path) -> None:
    busy = FakeEngine("busy")
    busy.refuses = (503, "engine_busy")
    busy.retry_after = "9"
    with site(registry, tmp_path, busy) as made:
        for streamed in (False, True):
            answer = made.ask(stream=streamed)
            assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
                503,
                "engine_busy",
                "9",
            )


def hang_up(made: Site, *, stream: bool) -> None:
    """Ask over a plain socket, and close it once the engine was asked."""
    body = json.dumps({"model": "desk", "prompt": "x", "stream": stream}).encode()
    head = f"POST /v1/generate HTTP/1.1\r\nHost: {urlsplit(made.url).netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((urlsplit(made.url).hostname or "", urlsplit(made.url).port or 0)) as wire:
        wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: len(made.engines[0].asked) == 1)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, [thread.name for thread in threading.enumerate()]
        time.sleep(0.01)
