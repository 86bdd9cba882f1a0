"""Two real engines behind one API: one is killed and comes back, and no caller notices."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from loopback import served as listening
from served import EngineProcess
from stage import Wakes

from api.main import create_app
from core.backends import assembly
from core.domain.backends import EngineEntry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore
from tests.integration.engine.conftest import Studio

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ASK = {"model": "desk", "prompt": "The harbour office", "max_tokens": 8}


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Return a folder whose paths are short enough for sockets, wherever the tests' folders are."""
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        yield Path(folder)


def test_an_engine_is_killed_and_comes_back_and_nobody_is_refused(
    studio: Studio, database_url: str, sockets: Path, tmp_path: Path
) -> None:
    studio.model("desk")
    studio.learn("desk", "task-1", seed=1)
    data = tmp_path / "data"
    names = ("one", "two")
    with ExitStack() as running:

        def start(name: str) -> EngineProcess:
            process = EngineProcess(data, database_url, sockets / f"{name}.sock")
            running.callback(process.process.wait)
            running.callback(process.process.kill)
            return process

        engines = {name: start(name) for name in names}
        for engine in engines.values():
            engine.await_ready()
        url = running.enter_context(api(studio, Settings(data_dir=data, database_url=database_url), sockets, names))
        until(lambda: httpx.post(f"{url}/v1/generate", json=ASK, timeout=60).is_success)
        answers: list[tuple[int, str]] = []
        done = threading.Event()
        callers = [threading.Thread(target=asks, args=(url, answers, done)) for _ in range(4)]
        for caller in callers:
            caller.start()
        until(lambda: len(answers) > 20)
        engines["one"].process.kill()
        until(lambda: "engine one" in faults(url))
        assert "engine" not in faults(url)
        seen = len(answers)
        until(lambda: len(answers) > seen + 20)
        start("one").await_ready()
        until(lambda: faults(url) == set())
        done.set()
        for caller in callers:
            caller.join()
    assert {status for status, _ in answers} == {200}
    assert len({said for _, said in answers}) == 1


@contextmanager
def api(studio: Studio, settings: Settings, sockets: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the address of an API in front of the engines of these names."""
    entries = [EngineEntry(kind="engine", name=name, address=f"unix:{sockets / name}.sock") for name in names]
    pool = assembly.pool(entries, engine_secret=None, timeout_seconds=30, poll_seconds=0.1)
    blobs = LocalBlobStore(settings.blobs_dir)
    app = create_app(settings, registry=studio.registry, blobs=blobs, dispatcher=Wakes(), generator=pool)
    with closing(pool), listening(app) as url:
        yield url


def asks(url: str, answers: list[tuple[int, str]], done: threading.Event) -> None:
    with httpx.Client(timeout=60) as client:
        while not done.is_set():
            answer = client.post(f"{url}/v1/generate", json=ASK)
            said = answer.json()
            answers.append((answer.status_code, f"{said.get('version')} {said.get('choices')}"))


def faults(url: str) -> set[str]:
    """Return the engines that are not well, or `engine` where none is."""
    parts = httpx.get(f"{url}/readyz", timeout=30).json()["parts"]
    return {name for name, state in parts.items() if name.startswith("engine") and state != "ok"}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
