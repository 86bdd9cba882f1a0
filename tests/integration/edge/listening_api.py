"""The API in a process of its own, started as production starts it, and bytes sent to it as they are."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import stage
from doors import contents
from starlette.datastructures import MutableHeaders

from core.registry.work import Registry
from core.services import projects
from core.settings import Settings
from strata.embedded import service
from tests.compose_stack import free_port

ROOT: Final = Path(__file__).parents[3]
LOCAL: Final = b"Host: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Answer:
    """What came back on a connection, as far as the tests look at it."""

    raw: bytes

    @property
    def status_code(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @cached_property
    def headers(self) -> MutableHeaders:
        lines = self.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        return MutableHeaders(
            raw=[(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
        )

    @property
    def text(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[2].decode()

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Listening:
    """A running API, and what lies behind it."""

    process: subprocess.Popen[bytes]
    registry: Registry
    settings: Settings

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.settings.api_port), timeout=20)

    def exchange(self, sent: bytes) -> Answer:
        """Send bytes on a connection of their own; return all that comes until the other end closes it."""
        with self.connect() as connection:
            connection.sendall(sent)
            return Answer(read_to_end(connection))

    def contents(self) -> Any:
        return contents(self.registry, self.settings)

    def log(self) -> str:
        return (self.settings.data_dir / "api.log").read_text(encoding="utf-8")


def read_to_end(connection: socket.socket) -> bytes:
    received = bytearray()
    while piece := connection.recv(65_536):
        received += piece
    return bytes(received)


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return a request of a caller that wants the connection closed after the answer."""
    return b"".join(
        [line, b"\r\n", LOCAL, b"Connection: close\r\n", *(each + b"\r\n" for each in headers), b"\r\n", body]
    )


@contextmanager
def listening(data_dir: Path, **settings: Any) -> Iterator[Listening]:
    """Start the API as `strata up` does, on SQLite, with a base model and the model `desk`."""
    given = Settings(data_dir=data_dir, api_port=free_port(), **settings)
    variables = {f"STRATA_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**service.environment(given, os.environ), **variables}
    api = next(program for program in service.programs() if program.name == "api")
    with closing(Registry(given.database_url)) as registry:
        with registry.write() as work:
            projects.ensure_default(work)
        stage.ready_base(registry)
        stage.new_model(registry)
        with (data_dir / "api.log").open("wb") as log:
            command = [sys.executable, "-m", api.module, *api.arguments]
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        started = Listening(process, registry, given)
        try:
            _await(started)
            yield started
        finally:
            process.terminate()
            process.wait(timeout=20)


def _await(started: Listening) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert started.process.poll() is None, started.log()
        assert time.monotonic() < deadline, started.log()
        try:
            started.connect().close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
