"""The API over a real registry and real files; only the engine is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stage
from doors import Door, Echo, prompted
from openai import OpenAI
from starlette.testclient import TestClient

from api.main import create_app
from core.registry.work import Registry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        upload_max_bytes=4 * 1024 * 1024,
        max_rows=5_000,
        poll_seconds=0.02,
    )


@pytest.fixture
def door(settings: Settings, registry: Registry) -> Iterator[Door]:
    """The service with one base model that is ready, and nothing else."""
    stage.ready_base(registry)
    wakes, echo = stage.Wakes(), Echo()
    app = create_app(
        settings, registry=registry, blobs=LocalBlobStore(settings.blobs_dir), dispatcher=wakes, generator=echo
    )
    with TestClient(app, base_url="http://127.0.0.1:8321", raise_server_exceptions=False) as client:
        yield Door(client, registry, settings, wakes, echo)


@pytest.fixture
def desk(door: Door) -> Door:
    """The same with a model named `desk`."""
    door.client.post("/v1/models", json={"name": "desk", "base_model": "tiny"}).raise_for_status()
    return door


@pytest.fixture
def openai(desk: Door) -> OpenAI:
    """OpenAI's own client, in front of `desk`."""
    return OpenAI(base_url="http://127.0.0.1:8321/v1", api_key="any", http_client=desk.client, max_retries=0)


@pytest.fixture
def rows(openai: OpenAI) -> str:
    """The id of an uploaded file."""
    return openai.files.create(file=("rows.jsonl", prompted(20)), purpose="fine-tune").id
