"""28 to 42: what is no HTTP, too much of it, or too little of it. Bytes on real sockets."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest
from cases import STRANGE_PATHS, covers, require_problem
from doors import MULTIPART
from listening_api import LOCAL, Answer, Listening, listening, read_to_end, request

HEAD_SECONDS: Final = 1.0
BODY_SECONDS: Final = 1.0
JSON: Final = b"Content-Type: application/json"
MODEL: Final = b'{"name": "never", "base_model": "tiny"}'
POST: Final = b"POST /v1/models HTTP/1.1"
GET: Final = b"GET /v1/models HTTP/1.1"


@pytest.fixture(scope="module")
def api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    folder = tmp_path_factory.mktemp("listening")
    shutil.copyfile(sqlite_template, folder / "registry.sqlite")
    quick = {"request_head_seconds": HEAD_SECONDS, "request_body_seconds": BODY_SECONDS, "max_connections": 1_100}
    with listening(folder, **quick) as started:
        yield started


@dataclass(frozen=True)
class Raw:
    """Bytes, and the code they are answered with before the connection is closed."""

    number: int
    name: str
    sent: bytes
    code: str

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


def unclosed(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return a request of a caller that would send another one on the same connection."""
    return b"".join([line, b"\r\n", LOCAL, *(each + b"\r\n" for each in headers), b"\r\n", body])


RAW: Final = [
    Raw(28, "negative length", unclosed(POST, JSON, b"Content-Length: -5", body=MODEL), "malformed_request"),
    Raw(28, "two lengths", unclosed(POST, JSON, b"Content-Length: 2", b"Content-Length: 3"), "malformed_request"),
    Raw(28, "two lengths in one", unclosed(POST, JSON, b"Content-Length: 2, 3"), "malformed_request"),
    Raw(28, "a word for a length", unclosed(POST, JSON, b"Content-Length: 0x10"), "malformed_request"),
    Raw(
        29,
        "length and chunks",
        unclosed(POST, JSON, b"Content-Length: 39", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + MODEL),
        "malformed_request",
    ),
    Raw(29, "a coding nobody knows", unclosed(POST, JSON, b"Transfer-Encoding: gzip"), "unknown_transfer_encoding"),
    Raw(
        29,
        "a chunk of no size",
        unclosed(POST, JSON, b"Transfer-Encoding: chunked", body=b"zz\r\n"),
        "malformed_request",
    ),
    Raw(33, "a header of 16 kB", unclosed(GET, b"X-Long: " + b"a" * 17_000), "headers_too_large"),
    Raw(33, "a header of 200 kB", unclosed(GET, b"X-Long: " + b"a" * 200_000), "headers_too_large"),
    Raw(34, "10,000 headers", unclosed(GET, *(b"X-%d: 1" % n for n in range(10_000))), "headers_too_large"),
    Raw(35, "NUL in a header", unclosed(GET, b"X-A: a\0b"), "malformed_request"),
    Raw(35, "CR in a header", unclosed(GET, b"X-A: a\rb"), "malformed_request"),
    Raw(35, "a line that is no header", unclosed(GET, b"X-A a"), "malformed_request"),
    Raw(35, "a blank in a header's name", unclosed(GET, b"X A: a"), "malformed_request"),
    Raw(38, "HTTP/9.9", unclosed(b"GET /v1/models HTTP/9.9"), "http_version_not_supported"),
    Raw(38, "HTTP/0.9", unclosed(b"GET /v1/models HTTP/0.9"), "http_version_not_supported"),
    Raw(38, "no version", b"GET /v1/models\r\n\r\n", "malformed_request"),
    Raw(38, "no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "malformed_request"),
    Raw(39, "an address of 9 kB", unclosed(b"GET /v1/models/" + b"a" * 9_000 + b" HTTP/1.1"), "uri_too_long"),
    Raw(39, "a query of 9 kB", unclosed(b"GET /v1/models?after=" + b"a" * 9_000 + b" HTTP/1.1"), "uri_too_long"),
    Raw(39, "an address of 40 kB", b"GET /" + b"a" * 40_000, "uri_too_long"),
    Raw(42, "two hosts", b"GET /v1/models HTTP/1.1\r\n" + LOCAL + b"Host: b\r\n\r\n", "malformed_request"),
    Raw(42, "no host", b"GET /v1/models HTTP/1.1\r\n\r\n", "malformed_request"),
]


@pytest.mark.parametrize("case", RAW, ids=str)
def test_what_is_no_request_is_refused_and_the_connection_closed(api: Listening, case: Raw) -> None:
    before = api.contents()
    answer = api.exchange(case.sent)
    require_problem(answer, case.code)
    assert answer.headers["connection"] == "close"
    assert api.contents() == before


@covers(36, 40)
@pytest.mark.parametrize("path", [*STRANGE_PATHS, "//evil.example/v1/models", "/v1/jobs/a%0d%0aSet-Cookie:x=1"])
def test_a_strange_address_is_404_on_the_wire_too(api: Listening, path: str) -> None:
    answer = api.exchange(request(f"GET {path} HTTP/1.1".encode()))
    require_problem(answer, "not_found")
    assert "set-cookie" not in answer.headers


@covers(30)
def test_a_body_that_stops_coming_is_given_up_and_leaves_nothing(api: Listening) -> None:
    before = api.contents()
    head = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"text": "a'
    typed = b"Content-Type: " + MULTIPART.encode()
    sent = request(b"POST /v1/datasets HTTP/1.1", typed, b"Content-Length: 500000", body=head)
    begun = time.monotonic()
    answer = api.exchange(sent)
    assert BODY_SECONDS <= time.monotonic() - begun < BODY_SECONDS + 3
    require_problem(answer, "request_timeout")
    until(lambda: api.contents() == before)


@covers(30)
def test_a_body_that_trickles_is_given_up(api: Listening) -> None:
    with api.connect() as connection:
        connection.sendall(request(POST, JSON, b"Content-Length: 500000"))
        seconds = trickle(connection)
    assert seconds < BODY_SECONDS + 3


@covers(30)
def test_a_body_that_comes_slowly_but_steadily_is_read(api: Listening) -> None:
    body = MODEL[:-1] + b" " * 60_000 + b"}"
    with api.connect() as connection:
        connection.sendall(request(b"PUT /v1/models/desk/aliases/x HTTP/1.1", JSON, b"Content-Length: %d" % len(body)))
        for start in range(0, len(body), 10_000):
            connection.sendall(body[start : start + 10_000])
            time.sleep(0.25)
        require_problem(Answer(read_to_end(connection)), "invalid_request")


@covers(31)
def test_a_head_that_trickles_is_given_up(api: Listening) -> None:
    with api.connect() as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nX-Slow: ")
        seconds = trickle(connection)
    assert HEAD_SECONDS - 0.3 <= seconds < HEAD_SECONDS + 3


@covers(31)
def test_a_second_head_that_trickles_is_given_up(api: Listening) -> None:
    with api.connect() as connection:
        connection.sendall(unclosed(b"GET /healthz HTTP/1.1"))
        assert b" 200 " in connection.recv(65_536)
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nX-Slow: ")
        seconds = trickle(connection)
    assert seconds < HEAD_SECONDS + 3


@covers(31)
def test_who_says_nothing_is_told_nothing(api: Listening) -> None:
    with api.connect() as connection:
        assert read_to_end(connection) == b""


def test_requests_sent_together_are_answered_in_turn(api: Listening) -> None:
    answer = api.exchange(unclosed(b"GET /healthz HTTP/1.1") * 3 + request(b"GET /nowhere HTTP/1.1"))
    assert answer.raw.count(b"HTTP/1.1 200") == 3
    assert answer.raw.count(b"HTTP/1.1 404") == 1


@covers(32)
def test_a_thousand_silent_connections_keep_nobody_out(api: Listening) -> None:
    silent = [api.connect() for _ in range(1_050)]
    try:
        waited = []
        for _ in range(60):
            begun = time.monotonic()
            assert api.exchange(request(b"GET /healthz HTTP/1.1")).status_code == 200
            waited.append(time.monotonic() - begun)
        assert sorted(waited)[-2] < 1.0
    finally:
        for connection in silent:
            connection.close()
    until(lambda: len(psutil.Process(api.process.pid).net_connections()) < 20)


@covers(32)
def test_beyond_the_limit_the_longest_silent_one_makes_room(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "registry.sqlite")
    with listening(tmp_path, max_connections=20) as small:
        silent = [small.connect() for _ in range(60)]
        try:
            assert small.exchange(request(b"GET /healthz HTTP/1.1")).status_code == 200
            assert silent[0].recv(1) == b"", "the first to come and say nothing was closed"
            assert not is_closed(silent[-1])
        finally:
            for connection in silent:
                connection.close()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def trickle(connection: socket.socket) -> float:
    """Send a byte now and then until the other end has closed; return how long that took."""
    begun = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - begun < 15:
        try:
            connection.sendall(b"a")
            if connection.recv(65_536) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
