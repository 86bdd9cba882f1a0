"""The API over an empty registry: for what is refused before anything is looked up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.asgi import build
from core.settings import Settings


@pytest.fixture
def client(tmp_path: Path, sqlite_template: Path) -> Iterator[TestClient]:
    (tmp_path / "data").mkdir()
    shutil.copyfile(sqlite_template, tmp_path / "data" / "registry.sqlite")
    app = build(Settings(data_dir=tmp_path / "data"))
    client = TestClient(app, base_url="http://127.0.0.1:8321", raise_server_exceptions=False)
    yield client
    app.state.context.generator.close()
    app.state.context.registry.close()
