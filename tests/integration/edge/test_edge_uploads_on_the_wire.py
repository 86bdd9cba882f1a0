"""Files that break off, that are endless, that find no space, or that come all at once: in the memory of one process."""

import resource
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest
from cases import CANARY, covers, require_problem
from doors import MULTIPART, labelled
from listening_api import Answer, Listening, listening, read_to_end, request

MIB: Final = 1024 * 1024
HEAD: Final = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
END: Final = b"\r\n--xx--\r\n"
TYPED: Final = b"Content-Type: " + MULTIPART.encode()


@pytest.fixture(scope="module")
def api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    folder = tmp_path_factory.mktemp("uploads")
    shutil.copyfile(sqlite_template, folder / "registry.sqlite")
    settings = {"upload_max_bytes": 64 * MIB, "max_rows": 20_000, "request_body_seconds": 20.0}
    with listening(folder, **settings) as started:
        # What a process needs once is no growth.
        started.exchange(upload(labelled(5_000)))
        yield started


def upload(content: bytes, *, length: int | None = None) -> bytes:
    body = HEAD + content + END
    declared = b"Content-Length: %d" % (len(body) if length is None else length)
    return request(b"POST /v1/datasets HTTP/1.1", TYPED, declared, body=body)


def long_rows(mebibytes: int) -> bytes:
    rows = (b'{"text": "%d %s", "label": "a"}\n' % (n, b"a" * 8_000) for n in range(128 * mebibytes))
    return b"".join(rows)


def resident(api: Listening) -> int:
    return int(psutil.Process(api.process.pid).memory_info().rss)


def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@covers(94)
@pytest.mark.parametrize("short", [30, 400])
def test_a_body_longer_than_its_declared_length_is_a_body_that_breaks_off(api: Listening, short: int) -> None:
    before = api.contents()
    length = len(HEAD + labelled(20) + END) - short
    require_problem(api.exchange(upload(labelled(20), length=length)), "malformed_multipart")
    assert api.contents() == before


@covers(94)
def test_a_length_over_the_limit_is_refused_before_the_body_comes(api: Listening) -> None:
    before = api.contents()
    begun = time.monotonic()
    answer = api.exchange(upload(b"{", length=65 * MIB))
    assert time.monotonic() - begun < 5
    require_problem(answer, "too_large")
    assert api.contents() == before


@covers(96)
def test_a_caller_that_goes_away_half_way_leaves_nothing(api: Listening) -> None:
    before = api.contents()
    sent = upload(labelled(20_000))
    with api.connect() as connection:
        connection.sendall(sent[: len(sent) // 2])
        until(lambda: api.contents() != before)
    until(lambda: api.contents() == before)


@covers(97)
def test_a_disk_that_is_full_half_way_is_507_and_leaves_nothing(api: Listening) -> None:
    before = api.contents()
    resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (2 * MIB, resource.RLIM_INFINITY))
    try:
        answer = api.exchange(upload(long_rows(8)))
    finally:
        resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    require_problem(answer, "disk_full")
    assert api.contents() == before


@covers(98)
def test_an_endless_line_takes_no_memory(api: Listening) -> None:
    """The list says 1 GiB: what is not kept of 48 MiB is not kept of more."""
    before, grown = api.contents(), resident(api)
    most = 0
    with api.connect() as connection:
        length = len(HEAD) + 48 * MIB + len(END)
        connection.sendall(request(b"POST /v1/datasets HTTP/1.1", TYPED, b"Content-Length: %d" % length, body=HEAD))
        for _ in range(48):
            connection.sendall(b"a" * MIB)
            most = max(most, resident(api) - grown)
        connection.sendall(END)
        body = require_problem(Answer(read_to_end(connection)), "invalid_dataset")
    assert body["errors"][0]["line"] == 1
    assert most < 16 * MIB
    assert api.contents() == before


@covers(99)
@pytest.mark.parametrize(
    ("line", "last"), [(b"\n", 100_001), (b" \n", 100_001), (b'{"text": "a", "label": "b"}\n', 20_001)]
)
def test_tiny_lines_without_end_are_not_even_read_to_the_end(api: Listening, line: bytes, last: int) -> None:
    begun = time.monotonic()
    body = require_problem(api.exchange(upload(line * (8 * MIB // len(line)))), "invalid_dataset")
    assert body["errors"][0]["line"] == last
    assert time.monotonic() - begun < 5


@covers(122)
def test_what_a_caller_sends_is_one_line_of_the_log_at_most(api: Listening) -> None:
    escape = "%1b[31mred%0d%0a2026 forged"
    for path in (f"/v1/jobs/{escape}", f"/v1/models?after={escape}", f"/{escape}"):
        assert api.exchange(request(f"GET {path} HTTP/1.1".replace(" f", "%20f").encode())).status_code in {404, 422}
    for header in (b"X-Request-Id: a\tb", b"X-Request-Id: " + CANARY.encode() + b"=1"):
        assert api.exchange(request(b"GET /nowhere HTTP/1.1", header)).headers["x-request-id"].startswith("req_")
    with api.connect() as connection:
        connection.sendall(upload(b"\x1b[31m\n" * 100)[:-40])
    time.sleep(0.2)
    assert not any(char in api.log() for char in ("\x1b", "\r", "forged\n"))
    assert not [line for line in api.log().splitlines() if line.startswith("2026 forged")]


def test_memory_is_bounded_under_uploads_and_slow_callers_at_once(api: Listening) -> None:
    before, grown = api.contents(), resident(api)
    wrong = long_rows(4) + b"x\n"
    waited: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{api.settings.api_port}") as client:
            while not done.is_set():
                begun = time.monotonic()
                assert client.get("/healthz").status_code == 200
                waited.append(time.monotonic() - begun)
                time.sleep(0.01)

    slow = [slow_caller(api) for _ in range(400)]
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        with ThreadPoolExecutor(16) as senders:
            answers = [senders.submit(api.exchange, upload(wrong)) for _ in range(16)]
            most = 0
            while not all(answer.done() for answer in answers):
                most = max(most, resident(api) - grown)
                time.sleep(0.05)
    finally:
        done.set()
        asking.join()
        for connection in slow:
            connection.close()
    for answer in answers:
        require_problem(answer.result(), "invalid_dataset")
    assert most < 200 * MIB
    assert sorted(waited)[int(len(waited) * 0.99) - 1] < 1.0
    until(lambda: api.contents() == before)


def slow_caller(api: Listening) -> socket.socket:
    connection = api.connect()
    connection.sendall(
        request(b"POST /v1/models HTTP/1.1", b"Content-Type: application/json", b"Content-Length: 900000")
    )
    connection.sendall(b'{"name": "' + b"a" * 8_000)
    return connection
