"""Telling the engine: over its socket or over TCP, and never at the worker's expense."""

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from worker.control.engine import EngineNotifier

Heard = list[tuple[str, str | None]]


@pytest.fixture
def heard() -> Heard:
    return []


@pytest.fixture
def handler(heard: Heard) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.headers.get("Authorization")))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

        def address_string(self) -> str:
            return "local"

    return Handler


def serve(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def socket_address(tmp_path: Path, handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    path = tmp_path / "engine.sock"
    for _ in serve(socketserver.UnixStreamServer(str(path), handler)):
        yield f"unix:{path}"


@pytest.fixture
def tcp_address(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    for _ in serve(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_the_engine_is_told_over_its_socket(socket_address: str, heard: Heard) -> None:
    EngineNotifier(socket_address, None)()

    assert heard == [("/v1/refresh", None)]


def test_the_engine_is_told_over_tcp_with_the_secret(tcp_address: str, heard: Heard) -> None:
    EngineNotifier(tcp_address, "s3cret")()

    assert heard == [("/v1/refresh", "Bearer s3cret")]


@pytest.mark.parametrize("address", ["unix:/nowhere/engine.sock", "http://127.0.0.1:1"])
def test_an_engine_that_is_away_is_no_error(address: str) -> None:
    EngineNotifier(address, None)()
