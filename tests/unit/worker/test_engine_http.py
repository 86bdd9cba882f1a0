"""The engine's door: who may enter on TCP, and where it listens."""

import socket
from pathlib import Path

import httpx
import pytest
import torch
from starlette.testclient import TestClient

from core.domain.errors import InvalidError
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf
from worker.compute.engine_http import create_app
from worker.compute.engine_process import device_of, listen


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("shelf")
    return Shelf(root, tiny_llama(root / "base"))


def _engine(shelf: Shelf, source: SetSource, tmp_path: Path) -> Engine:
    loader = VersionLoader(artefacts=shelf.artefacts, cache=tmp_path / "cache", device=torch.device("cpu"))
    return Engine(source=source, loader=loader, memory_bytes=10**12)


def test_only_who_knows_the_secret_is_answered(shelf: Shelf, tmp_path: Path) -> None:
    source = SetSource()
    reference = source.point("latest", shelf.original())
    app = create_app(_engine(shelf, source, tmp_path), secret="s3cret", poll_seconds=0.05, load_timeout_seconds=30)
    with TestClient(app) as client:
        body = {"model": reference, "prompt": "yes", "max_tokens": 2}
        known = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/completions", json=body, headers=known).status_code == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
            for method, path in (("POST", "/v1/completions"), ("POST", "/v1/refresh"), ("GET", "/healthz")):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_tcp_without_a_secret_is_refused() -> None:
    with pytest.raises(InvalidError, match="secret"):
        listen("http://127.0.0.1:0", secret=None)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "http://127.0.0.1", "engine.sock"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidError, match="engine_address"):
        listen(address, secret="s")


def test_tcp_with_a_secret_listens_on_that_port() -> None:
    listener = listen("http://127.0.0.1:0", secret="s")
    assert listener.family is socket.AF_INET
    assert listener.getsockname()[1] > 0
    listener.close()


def test_a_file_in_the_sockets_place_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "engine.sock").write_text("mine")
    with pytest.raises(InvalidError, match="no socket"):
        listen(f"unix:{tmp_path / 'engine.sock'}", secret=None)
    assert (tmp_path / "engine.sock").read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot listen"):
        listen(f"unix:{tmp_path / ('x' * 120)}", secret=None)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'engine.sock'}"
    listen(address, secret=None).close()
    listen(address, secret=None).close()


def test_a_named_device_is_taken_as_it_is() -> None:
    assert device_of("cpu") == torch.device("cpu")
    assert device_of("auto").type in {"cpu", "cuda"}


def test_a_stream_that_is_left_stops_decoding(shelf: Shelf, tmp_path: Path) -> None:
    source = SetSource()
    reference = source.point("latest", shelf.original())
    engine = _engine(shelf, source, tmp_path)
    app = create_app(engine, secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    body = {"model": reference, "prompt": "The harbour", "max_tokens": 200, "stream": True}
    with TestClient(app) as client:
        answer: httpx.Response = client.post("/v1/completions", json=body)
        lines = [line for line in answer.text.split("\n") if line]
        assert lines[-1] == "data: [DONE]"
        assert engine.scheduler._batches == []
