"""The engine's door: who may enter on TCP, and where it listens."""

import asyncio
import json
import socket
import stat
from pathlib import Path

import pytest
import torch
from starlette.requests import Request
from starlette.testclient import TestClient

from core.domain.errors import InvalidError, StrataError
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from core.serving.requests import Piece, Ticket
from tests.tiny_models import tiny_llama
from tests.tiny_versions import SetSource, Shelf
from worker.compute.engine_http import _events, _whole, create_app
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
            ways = (("POST", "/v1/completions"), ("POST", "/v1/refresh"), ("GET", "/healthz"), ("GET", "/metrics"))
            for method, path in ways:
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


def test_a_stream_that_is_left_stops_decoding() -> None:
    async def leave_early() -> Ticket:
        pieces: asyncio.Queue[Piece] = asyncio.Queue()
        ticket = Ticket(pieces.put_nowait)
        ticket.listener(Piece(text="The"))
        events = _events({"id": "x"}, pieces, ticket)
        assert json.loads((await anext(events)).removeprefix("data: "))["choices"][0]["text"] == "The"
        await events.aclose()
        return ticket

    assert asyncio.run(leave_early()).cancelled


def test_a_caller_who_hangs_up_stops_decoding() -> None:
    async def hang_up() -> Ticket:
        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        pieces: asyncio.Queue[Piece] = asyncio.Queue()
        ticket = Ticket(pieces.put_nowait)
        with pytest.raises(StrataError, match="gone"):
            await _whole({}, pieces, Request({"type": "http"}, receive), ticket)
        return ticket

    assert asyncio.run(hang_up()).cancelled


def test_the_socket_of_a_living_engine_is_not_taken(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'engine.sock'}"
    living = listen(address, secret=None)
    with pytest.raises(InvalidError, match="another engine"):
        listen(address, secret=None)
    living.close()


def test_a_socket_is_its_owners_only(tmp_path: Path) -> None:
    listen(f"unix:{tmp_path / 'run' / 'engine.sock'}", secret=None).close()
    assert stat.S_IMODE((tmp_path / "run" / "engine.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_what_is_wrong_is_said_with_its_status_and_code(shelf: Shelf, tmp_path: Path) -> None:
    source = SetSource()
    model = {"model": source.point("latest", shelf.original())}
    ask = {"prompt": "yes", "max_tokens": 2}
    app = create_app(_engine(shelf, source, tmp_path), secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    with TestClient(app) as client:
        asked = {
            "no such version": client.post("/v1/completions", json={**ask, "model": "ver_none"}),
            "no such alias": client.post("/v1/completions", json={**ask, "model": "mdl_none:latest"}),
            "nothing asked": client.post("/v1/completions", json=model),
            "not JSON": client.post("/v1/completions", content=b"{"),
            "too long": client.post("/v1/completions", json={**model, "prompt": "a b c d " * 300}),
            "too large": client.post("/v1/completions", content=b" " * (9 * 1024 * 1024)),
        }
    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in asked.items()} == {
        "no such version": (404, "version_not_found"),
        "no such alias": (404, "alias_not_found"),
        "nothing asked": (422, "invalid_request"),
        "not JSON": (422, "invalid_request"),
        "too long": (422, "context_length_exceeded"),
        "too large": (413, "too_large"),
    }


def test_a_prompt_is_never_echoed(shelf: Shelf, tmp_path: Path) -> None:
    app = create_app(_engine(shelf, SetSource(), tmp_path), secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    with TestClient(app) as client:
        answer = client.post("/v1/completions", json={"model": "m", "prompt": ["my secret"], "seed": "my secret"})
    assert answer.status_code == 422
    assert "my secret" not in answer.text


def test_health_says_what_is_live_and_what_it_takes(shelf: Shelf, tmp_path: Path) -> None:
    source = SetSource()
    child = shelf.child(shelf.original(), seed=1)
    reference = source.point("latest", child)
    app = create_app(_engine(shelf, source, tmp_path), secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    with TestClient(app) as client:
        client.post("/v1/completions", json={"model": reference, "prompt": "yes", "max_tokens": 2})
        health = client.get("/healthz").json()
        metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "strata_engine_versions 1.0" in metrics.text
    assert health["status"] == "ok"
    assert [(live["version_id"], live["aliases"]) for live in health["live"]] == [(child.version_id, ["latest"])]
    assert health["resident_bytes"] > health["unique_bytes"] > health["live"][0]["own_bytes"] > 0
    assert (health["loads"], health["requests"]) == (True, 0)


def test_several_answers_are_told_with_their_log_probabilities_whole_and_in_pieces(
    shelf: Shelf, tmp_path: Path
) -> None:
    source = SetSource()
    model = source.point("latest", shelf.original())
    app = create_app(_engine(shelf, source, tmp_path), secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    ask = {"model": model, "prompt": "yes", "max_tokens": 4, "n": 2, "logprobs": 1, "temperature": 1.0, "seed": 3}
    with TestClient(app) as client:
        whole = client.post("/v1/completions", json=ask).json()
        lines = client.post("/v1/completions", json={**ask, "stream": True}).text.split("\n\n")
        plain = client.post("/v1/completions", json={"model": model, "prompt": "yes", "max_tokens": 1}).json()
        chosen = client.post("/v1/completions", json={"model": model, "prompt": "yes", "choices": ["no", "yes"]}).json()
    pieces = [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    for choice in whole["choices"]:
        parts = [piece["choices"][0] for piece in pieces if piece["choices"][0]["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert [token for part in parts for token in part["logprobs"] or ()] == choice["logprobs"]
        assert {"token", "token_id", "logprob", "top"} == set(choice["logprobs"][0])
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
    assert [piece["usage"] for piece in pieces if "usage" in piece] == [whole["usage"]]
    assert whole["usage"]["completion_tokens"] == sum(len(choice["logprobs"]) for choice in whole["choices"])
    assert plain["choices"][0]["logprobs"] is None
    assert chosen["choices"][0]["text"] in {"no", "yes"}


def test_who_is_sent_away_for_now_is_told_when_to_come_back(shelf: Shelf, tmp_path: Path) -> None:
    source = SetSource()
    model = source.point("latest", shelf.original())
    app = create_app(_engine(shelf, source, tmp_path), secret=None, poll_seconds=0.05, load_timeout_seconds=30)
    with TestClient(app) as client:
        late = client.post(
            "/v1/completions", json={"model": model, "prompt": "yes", "max_tokens": 400, "timeout_seconds": 1e-9}
        )
        assert client.post("/v1/completions", json={"model": model, "prompt": "yes", "max_tokens": 1}).is_success
    assert late.headers["retry-after"] == "1"
    assert late.json()["code"] in {"deadline_exceeded", "version_loading"}
