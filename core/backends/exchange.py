"""One HTTP exchange that another thread may cut short: over TCP, TLS or a Unix socket.

A connection an exchange: to a neighbour it costs a fraction of a millisecond, and closing it is how every server learns
that nobody waits for its answer.
"""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from core.domain.backends import Departure, is_socket
from core.domain.errors import UnavailableError

CONNECT_SECONDS: Final = 2.0
_CHUNK_BYTES: Final = 65536
_DATA: Final = b"data:"
DONE: Final = "[DONE]"


class LateError(UnavailableError):
    """The backend was reached and did not answer in time: asking another one would take as long again."""

    default_code = "engine_unavailable"


class DeadlineError(UnavailableError):
    """The request's own deadline passed before the answer was complete."""

    default_code = "deadline_exceeded"


class DepartedError(UnavailableError):
    """The caller went away, and the exchange was cut."""

    default_code = "engine_unavailable"


class Answer:
    """The head of an answer, and its body as it comes."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def read(self) -> bytes:
        """Return the whole body."""
        return self._response.read()

    def json(self) -> Any:
        """Return the body's JSON; an empty object where it is none."""
        try:
            return json.loads(self.read())
        except ValueError:
            return {}

    def events(self) -> Iterator[str]:
        r"""Yield the data of server-sent events; lines end with ``\n`` only, not where Unicode knows other ends."""
        rest = b""
        while chunk := self._response.read1(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(_DATA):
                    yield line.removeprefix(_DATA).strip(b" \r").decode("utf-8", errors="replace")


class Address:
    """Where a backend is, and how to speak to it.

    Args:
        address: ``unix:<socket path>``, or a URL whose path every request's path follows.
        token: shown as a bearer token.
        timeout_seconds: longest wait for the next bytes of an answer.
    """

    def __init__(self, address: str, *, token: str | None, timeout_seconds: float) -> None:
        self._socket = Path(address.removeprefix("unix:")) if is_socket(address) else None
        parts = urlsplit("http://engine" if self._socket else address)
        self._host, self._port = parts.hostname or "", parts.port
        self._root = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._token = token
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        departure: Departure | None = None,
        timeout_seconds: float | None = None,
        deadline_seconds: float | None = None,
    ) -> Iterator[Answer]:
        """Ask, and yield the answer; leaving closes the connection.

        Raises:
            DeadlineError: it took longer than ``deadline_seconds`` in all.
            LateError: nothing came for ``timeout_seconds``.
            DepartedError: the caller went away.
            UnavailableError: ``engine_unavailable``: nobody answers there, or the answer broke off.
        """
        departure = departure or Departure()
        connection = self._connected(timeout_seconds or self._timeout_seconds)
        # The connection forgets its socket once an answer is the last one on it.
        wire = connection.sock
        alarm = _Alarm(deadline_seconds, partial(_cut, wire))
        try:
            with alarm, departure.cuts(partial(_cut, wire)):
                connection.request(method, self._root + path, *self._sent(body))
                with connection.getresponse() as response:
                    yield Answer(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if departure.is_gone:
                raise DepartedError("the caller went away") from error
            if alarm.has_rung:
                raise DeadlineError("the answer was not complete in time") from error
            if isinstance(error, TimeoutError):
                raise LateError("the engine did not answer in time") from error
            raise UnavailableError("the engine does not answer", code="engine_unavailable") from error
        finally:
            connection.close()
            wire.close()

    def _sent(self, body: Mapping[str, Any] | None) -> tuple[bytes | None, dict[str, str]]:
        headers = {"Connection": "close"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is None:
            return None, headers
        return json.dumps(body).encode(), headers | {"Content-Type": "application/json"}

    def _connection(self) -> http.client.HTTPConnection:
        if self._socket is not None:
            return _UnixConnection(self._socket)
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)

    def _connected(self, timeout_seconds: float) -> http.client.HTTPConnection:
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            # Whoever could not be connected to has not begun to answer, however long it took.
            raise UnavailableError("the engine is not running", code="engine_unavailable") from error
        connection.sock.settimeout(timeout_seconds)
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=CONNECT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Alarm:
    """Does something once a time has passed, unless it is left before."""

    def __init__(self, seconds: float | None, act: Callable[[], None]) -> None:
        self.has_rung = False
        self._act = act
        self._timer = None if seconds is None else threading.Timer(max(seconds, 0), self._ring)

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self.has_rung = True
        self._act()


def _cut(wire: socket.socket) -> None:
    """End a connection under whoever reads from it."""
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
