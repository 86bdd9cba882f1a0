"""Installations to work in, and a real Redis."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import moved_models
import pytest
import real_service as real
from installation import Install, Installation, prepare
from real_redis import start_redis

from core.dispatch.local import LocalDispatcher
from core.domain.policies import ModelPolicy
from core.domain.ports import Dispatcher
from core.registry.work import Registry
from core.services import models, promotions, publication, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.promotions import Promotion
from core.settings import Settings
from core.storage import manifests
from tests.fake_trainer.command import COMMAND_LINE


@pytest.fixture
def install(tmp_path: Path, database_url: str) -> Iterator[Install]:
    """Make an installation in a fresh data folder, with the fake trainer unless told otherwise."""
    opened: list[Registry] = []

    def make(
        *,
        dispatcher: Dispatcher | None = None,
        broker_url: str = "redis://127.0.0.1:1/0",
        compute_command: str = COMMAND_LINE,
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


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Installation]:
    """An installation on SQLite whose model `support` has learned three tasks, been rolled back and found damaged."""
    data = tmp_path_factory.mktemp("home")
    shutil.copyfile(sqlite_template, data / "registry.sqlite")
    settings = Settings(
        data_dir=data,
        min_free_bytes=0,
        device="cpu",
        trainer_threads=1,
        compute_command=COMMAND_LINE,
        beat_seconds=0.25,
        lease_seconds=30,
        poll_seconds=0.1,
        sweep_seconds=0.5,
    )
    with closing(Registry(settings.database_url)) as registry:
        prepare(registry)
        made = Installation(settings, registry, LocalDispatcher())
        made.add_base_model()
        made.work_off()
        with registry.write() as work:
            policy = ModelPolicy(store_rows=True)
            models.create(work, project_id=PROJECT, name="support", base_model="tiny-ok", method={}, policy=policy)
            models.create(work, project_id=PROJECT, name="discreet", base_model="tiny-ok", method={})
        for task in ("ok-first", "crash-second", "ok-third", "ok-fourth"):
            made.submit(task)
        made.work_off()
        with registry.write() as work:
            promote = {"project_id": PROJECT, "model": "support"}
            promotions.promote(work, **promote, alias="stable", promotion=Promotion(version="1", reason="shown"))
        with registry.write() as work:
            third = versions.resolve(work, project_id=PROJECT, reference="support@3")
            publication.mark_corrupt(work, version_id=third.id, reason="a byte")
        yield made


@pytest.fixture(scope="session")
def exported(home: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`support` as a folder, with its datasets."""
    folder = tmp_path_factory.mktemp("exported") / "support"
    told = moved_models.run(home.settings, "export", "support", str(folder), "--datasets")
    assert told.exit_code == 0, told.output
    assert told.stdout.strip() == manifests.sha256_of(folder / "manifest.json")
    return folder


@pytest.fixture(scope="session")
def without_rows(home: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`support` as a folder, without its datasets."""
    folder = tmp_path_factory.mktemp("exported") / "support"
    assert moved_models.run(home.settings, "export", "support", str(folder)).exit_code == 0
    return folder


@pytest.fixture
def abroad(install: Install) -> Installation:
    """Another installation, on either database, with the same base model."""
    made = install()
    made.add_base_model()
    made.work_off()
    return made


@pytest.fixture(scope="session")
def real_service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[real.RealService]:
    """A model that learned two tasks by the real trainer: training is the same whatever the registry runs on."""
    data = tmp_path_factory.mktemp("real")
    shutil.copyfile(sqlite_template, data / "registry.sqlite")
    with real.running(data) as service:
        yield service
