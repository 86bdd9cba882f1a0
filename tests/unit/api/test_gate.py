"""An API without keys serves this machine only, whatever it is told to listen on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.asgi import build
from core.domain.access import Scope
from core.domain.errors import StrataError
from core.services import keys, projects
from core.settings import Settings

BOTH = "http://127.0.0.1:8321"


@pytest.fixture
def data_dir(tmp_path: Path, sqlite_template: Path) -> Path:
    shutil.copyfile(sqlite_template, tmp_path / "registry.sqlite")
    return tmp_path


@contextmanager
def running(settings: Settings, **how: Any) -> Iterator[TestClient]:
    with TestClient(build(settings), raise_server_exceptions=False, **{"base_url": BOTH, **how}) as client:
        yield client


def key_of(settings: Settings) -> str:
    registry = build(settings).state.context.registry
    with registry.write() as work:
        projects.ensure_default(work)
        _, key = keys.create(work, project_id=projects.DEFAULT_PROJECT_ID, name="ops", scopes=[Scope.READ])
    registry.close()
    return key


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "strata.example"])
def test_it_does_not_start_beyond_loopback_without_a_key(data_dir: Path, host: str) -> None:
    refusal = pytest.raises(StrataError, match=r"holds no key.*python -m api.keys create")
    with refusal, running(Settings(data_dir=data_dir, api_host=host)):
        pass


def test_it_starts_beyond_loopback_once_there_is_a_key(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, api_host="0.0.0.0")
    bearer = {"Authorization": f"Bearer {key_of(settings)}"}
    elsewhere = {"base_url": "http://strata.example", "client": ("192.0.2.7", 5000)}
    with running(settings, **elsewhere) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers=bearer).status_code == 200
        page = {**bearer, "Origin": "https://page.example", "Sec-Fetch-Site": "cross-site"}
        assert client.get("/v1/models", headers=page).status_code == 200, "a key is no cookie: pages do not have it"


def test_it_may_be_told_to_ask_for_keys_from_the_start(data_dir: Path) -> None:
    with running(Settings(data_dir=data_dir, api_host="0.0.0.0", require_keys="always")) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/models").status_code == 401


@pytest.mark.parametrize("ends", [{"client": ("192.0.2.7", 5000)}, {"base_url": "http://192.0.2.1:8321"}])
def test_without_keys_another_machine_is_refused_whatever_it_calls_itself(data_dir: Path, ends: Any) -> None:
    with running(Settings(data_dir=data_dir), **ends) as client:
        answer = client.get("/healthz", headers={"Host": "127.0.0.1:8321"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_a_key_that_was_made_beside_it_is_known_to_the_next_call(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    with running(settings) as client:
        proxied = {"Host": "strata.example"}
        assert client.get("/v1/models", headers=proxied).json()["code"] == "foreign_host"
        bearer = {"Authorization": f"Bearer {key_of(settings)}"}
        assert client.get("/v1/models", headers=proxied | bearer).status_code == 200
        assert client.get("/v1/models", headers=proxied).json()["code"] == "unauthorized"
