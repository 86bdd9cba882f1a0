"""The engine, spoken to over a real Unix socket."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from core.backends.engine import EngineClient
from core.domain.backends import Departure, Question
from core.domain.errors import InvalidError, MissingError, NotReadyError, StrataError, UnavailableError

ANSWER = {"id": "cmpl_1", "version_id": "ver_1", "choices": [{"index": 0, "text": "a\u2028b", "finish_reason": "stop"}]}
ERRORS = {
    "missing": (404, {"code": "version_not_found", "detail": "no such version"}),
    "invalid": (422, {"code": "invalid_request", "detail": "no", "errors": [{"loc": ["prompt"], "message": "long"}]}),
    "loading": (425, {"code": "version_loading", "detail": "not yet"}),
    "busy": (503, {"code": "engine_busy", "detail": "too many"}),
    "strange": (500, ["what"]),
}
STREAMS = {
    "whole": [ANSWER, ANSWER, "[DONE]"],
    "fault": [ANSWER, {"code": "generation_failed", "detail": "the answer could not be computed"}, "[DONE]"],
    "cut": [ANSWER],
}


class Engine(BaseHTTPRequestHandler):
    """Answers as the engine would, by the prompt it is given."""

    def do_GET(self) -> None:
        self._json(200, {"status": "ok"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["prompt"] in ERRORS:
            self._json(*ERRORS[asked["prompt"]])
        elif asked["stream"]:
            self._stream(STREAMS[asked["prompt"]])
        else:
            self._json(200, {**ANSWER, "asked": asked, "secret": self.headers.get("Authorization")})

    def _json(self, status: int, body: Any) -> None:
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, pieces: list[Any]) -> None:
        self.send_response(200)
        self.end_headers()
        for piece in pieces:
            data = piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False)
            self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        return

    def address_string(self) -> str:
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def address() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        with Server(str(path), Engine) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"unix:{path}"
            server.shutdown()
            thread.join()


@pytest.fixture
def engine(address: str) -> EngineClient:
    return EngineClient(address, secret="shared", timeout_seconds=5)


def ask(prompt: str) -> Question:
    request: dict[str, object] = {"model": "ver_1", "prompt": prompt}
    return Question(request=request, model_id="mdl_1", version_id="ver_1", departure=Departure())


def test_an_answer_comes_in_one_piece(engine: EngineClient) -> None:
    answer = engine.generate(ask("hello"))
    assert answer["asked"] == {"model": "ver_1", "prompt": "hello", "stream": False}
    assert answer["secret"] == "Bearer shared"
    assert engine.look().loads


def test_a_stream_comes_in_pieces_whatever_lines_unicode_knows(engine: EngineClient) -> None:
    assert list(engine.stream(ask("whole"))) == [ANSWER, ANSWER]


@pytest.mark.parametrize(
    ("prompt", "kind", "code"),
    [
        ("missing", MissingError, "version_not_found"),
        ("invalid", InvalidError, "invalid_request"),
        ("loading", NotReadyError, "version_loading"),
        ("busy", UnavailableError, "engine_busy"),
        ("strange", UnavailableError, "unavailable"),
    ],
)
def test_the_engines_errors_keep_their_codes(
    engine: EngineClient, prompt: str, kind: type[StrataError], code: str
) -> None:
    for way in (engine.generate, lambda question: list(engine.stream(question))):
        with pytest.raises(kind) as raised:
            way(ask(prompt))
        assert raised.value.code == code


def test_the_engines_places_are_passed_on(engine: EngineClient) -> None:
    with pytest.raises(InvalidError) as raised:
        engine.generate(ask("invalid"))
    assert raised.value.places[0].loc == ("prompt",)


@pytest.mark.parametrize(("prompt", "code"), [("fault", "generation_failed"), ("cut", "engine_unavailable")])
def test_a_stream_that_breaks_off_is_an_error(engine: EngineClient, prompt: str, code: str) -> None:
    pieces = engine.stream(ask(prompt))
    assert next(pieces) == ANSWER
    with pytest.raises(UnavailableError) as raised:
        next(pieces)
    assert raised.value.code == code


def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    client = EngineClient(f"unix:{tmp_path / 'none.sock'}")
    ways = (client.look, client.metrics, lambda: client.generate(ask("x")), lambda: list(client.stream(ask("x"))))
    for way in ways:
        with pytest.raises(UnavailableError) as raised:
            way()
        assert raised.value.code == "engine_unavailable"
