"""Installations to work in, and a real Redis."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import FAKE_TRAINER, Install, Installation, prepare
from real_redis import start_redis

from core.dispatch.local import LocalDispatcher
from core.domain.ports import Dispatcher
from core.registry.work import Registry
from core.settings import Settings


@pytest.fixture
def install(tmp_path: Path, database_url: str) -> Iterator[Install]:
    """Make an installation in a fresh data folder, with the fake trainer unless told otherwise."""
    opened: list[Registry] = []

    def make(
        *,
        dispatcher: Dispatcher | None = None,
        broker_url: str = "redis://127.0.0.1:1/0",
        compute_command: str = f"{sys.executable} {FAKE_TRAINER}",
        lease_seconds: float = 30,
    ) -> Installation:
        settings = Settings(
            data_dir=tmp_path / "data",
            database_url=database_url,
            broker_url=broker_url,
            lease_seconds=lease_seconds,
            beat_seconds=0.25,
            sweep_seconds=0.5,
            poll_seconds=0.1,
            stop_grace_seconds=2,
            min_free_bytes=0,
            device="cpu",
            trainer_threads=1,
            compute_command=compute_command,
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
def lease_seconds() -> float:
    """Long enough for a busy machine; tests of recovery ask for less."""
    return 30


@pytest.fixture
def installation(install: Install, lease_seconds: float) -> Installation:
    """An installation whose base model is inspected and whose model is made."""
    made = install(lease_seconds=lease_seconds)
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
