"""One service a module, furnished once: no case may leave a trace, so all of them share it."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import postgres_server
import pytest
import stage
from doors import Door, Echo, labelled
from starlette.testclient import TestClient

from api.main import create_app
from core.registry.access_tables import API_KEY
from core.registry.work import Registry
from core.services import projects
from core.settings import Settings
from core.storage.blobs import LocalBlobStore

BASE_URL = "http://127.0.0.1:8321"
# What a wide base model needs at a usual rank, and not at a high one.
TASK_MEMORY_BYTES = 200_000_000


# Modules so large that a rank decides whether a task fits the memory of the tests' service.
WIDE = stage.FACTS.model_copy(update={"modules": dict.fromkeys(stage.FACTS.modules, (1024, 1024))})


@contextmanager
def furnished(database_url: str, folder: Path) -> Iterator[Door]:
    """Open the service with two models that have learned a task each, and a dataset that no task uses."""
    settings = Settings(
        data_dir=folder / "data",
        database_url=database_url,
        upload_max_bytes=16 * 1024 * 1024,
        max_rows=5_000,
        poll_seconds=0.02,
        task_memory_bytes=TASK_MEMORY_BYTES,
    )
    with closing(Registry(database_url)) as registry:
        with registry.write() as work:
            projects.ensure_default(work)
        stage.ready_base(registry)
        wakes, echo = stage.Wakes(), Echo()
        blobs = LocalBlobStore(settings.blobs_dir)
        app = create_app(settings, registry=registry, blobs=blobs, dispatcher=wakes, generator=echo)
        with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
            door = Door(client, registry, settings, wakes, echo)
            for n, model in enumerate(("desk", "shelf")):
                _learn(door, model, start=100 * n)
            yield door


def _learn(door: Door, model: str, *, start: int) -> None:
    door.client.post("/v1/models", json={"name": model, "base_model": "tiny"}).raise_for_status()
    door.post_task(fields={"model": model, "name": "first"}, file=labelled(20, start=start)).raise_for_status()
    with door.registry.write() as work:
        stage.publish(work, stage.claim(work))


@pytest.fixture(scope="module")
def desk(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The service on SQLite."""
    folder = tmp_path_factory.mktemp("edge")
    shutil.copyfile(sqlite_template, folder / "registry.sqlite")
    with furnished(f"sqlite:///{folder / 'registry.sqlite'}", folder) as door:
        yield door


@pytest.fixture
def desk_on_postgresql(postgres_database: str, tmp_path: Path) -> Iterator[Door]:
    """The service on PostgreSQL."""
    postgres_server.empty(postgres_database, tables=[each.name for each in reversed(API_KEY.metadata.sorted_tables)])
    with furnished(postgres_database, tmp_path) as door:
        yield door


def _prepared(door: Door) -> Door:
    """Add a model on a wide base, and a second version to `shelf`."""
    stage.ready_base(door.registry, "wide", facts=WIDE)
    door.client.post("/v1/models", json={"name": "wide", "base_model": "wide"}).raise_for_status()
    for model, name, start in (("wide", "first", 300), ("shelf", "second", 400)):
        door.post_task(fields={"model": model, "name": name}, file=labelled(20, start=start)).raise_for_status()
        with door.registry.write() as work:
            stage.publish(work, stage.claim(work))
    return door


@pytest.fixture(scope="module")
def bench(desk: Door) -> Door:
    return _prepared(desk)


@pytest.fixture
def bench_on_postgresql(desk_on_postgresql: Door) -> Door:
    return _prepared(desk_on_postgresql)
