"""vLLM's keeper as it runs: a process of its own between the API and servers, over a real registry."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback import served
from served import REPOSITORY
from stage import Wakes

from api.main import create_app
from core.backends import assembly
from core.domain.backends import EngineEntry
from core.registry import events
from core.settings import Settings
from core.storage.blobs import LocalBlobStore
from tests.fake_vllm import FakeVllm, mark_of
from tests.integration.engine.conftest import Studio
from worker.compute.vllm.publisher import FAILED, PUBLISHED
from worker.compute.vllm.ways import SERVED_NAME, link_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Return a path short enough for a socket, wherever the tests' folders are."""
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        yield Path(folder) / "vllm.sock"


def test_a_learned_version_reaches_the_servers_and_answers_through_the_api(
    studio: Studio, database_url: str, socket_path: Path, tmp_path: Path
) -> None:
    zero = studio.model("desk")
    data = tmp_path / "data"
    fakes = [FakeVllm(SERVED_NAME, dev_mode=True) for _ in range(2)]
    with ExitStack() as running:
        addresses = [running.enter_context(served(fake.app())) for fake in fakes]
        for fake, address in zip(fakes, addresses, strict=True):
            fake.folder = link_of(data / "snapshots" / "servers", address)
        running.enter_context(keeper(data, database_url, socket_path, addresses, follows=f"{zero.model_id}:latest"))
        url = running.enter_context(api(studio, database_url, data, socket_path, model_id=zero.model_id))
        until(lambda: ask(url).get("version") == "desk@0")
        first = studio.learn("desk", "task-1", seed=1)
        until(lambda: ask(url)["version"] == "desk@1")
        assert ask(url)["choices"][0]["text"].startswith(mark_of(data / "snapshots" / first.id))
        fakes[0].fails_at = "reload_weights"
        second = studio.learn("desk", "task-2", seed=2)
        until(lambda: kinds(studio, second.id)[-1:] == [FAILED])
        assert ask(url)["version"] == "desk@1", "the old version stays"
    assert kinds(studio, first.id)[-1] == PUBLISHED


class keeper:  # noqa: N801 - a context manager
    """The process, and its log where it fails."""

    def __init__(self, data: Path, database_url: str, socket: Path, servers: list[str], *, follows: str) -> None:
        self._log = data / "vllm.log"
        data.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.compute.vllm"],
                env={
                    **kept,
                    "STRATA_DATA_DIR": str(data),
                    "STRATA_DATABASE_URL": database_url,
                    "STRATA_ENGINE_ADDRESS": f"unix:{socket}",
                    "STRATA_MIN_FREE_BYTES": "0",
                    "STRATA_VLLM": json.dumps({"follows": follows, "servers": servers, "change": "in_place"}),
                },
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(30) == 0, self._log.read_text()


def api(studio: Studio, database_url: str, data: Path, socket: Path, *, model_id: str) -> Any:
    settings = Settings(data_dir=data, database_url=database_url)
    entry = EngineEntry(kind="engine", name="vllm", address=f"unix:{socket}", models=frozenset({model_id}))
    pool = assembly.pool([entry], engine_secret=None, timeout_seconds=20, poll_seconds=0.1)
    app = create_app(
        settings,
        registry=studio.registry,
        blobs=LocalBlobStore(settings.blobs_dir),
        dispatcher=Wakes(),
        generator=pool,
    )
    return served(app)


def ask(url: str) -> dict[str, Any]:
    told: dict[str, Any] = httpx.post(f"{url}/v1/generate", json={"model": "desk", "prompt": "one"}, timeout=30).json()
    return told


def kinds(studio: Studio, version_id: str) -> list[str]:
    with studio.registry.read() as work:
        return [event.kind for event in events.page(work, subject_id=version_id, after=0, limit=100).data]


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
