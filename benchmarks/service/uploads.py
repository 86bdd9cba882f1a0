"""One large upload: how fast it is taken, and how much the API grows by it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.service.calls import form
from benchmarks.service.installation import Installation

MIB: Final = 1 << 20
ROW_BYTES: Final = 1024
_CHUNK: Final = 256 * 1024
_KIND: Final = "multipart/form-data; boundary=strata-bench"
_LOOK_SECONDS: Final = 0.02


def upload(service: Installation, api: psutil.Process, *, mebibytes: int) -> dict[str, Any]:
    """Post a file of distinct rows of 1 KiB and return MB/s (of 10^6 bytes) and the growth of resident memory."""
    file = service.settings.data_dir / "large.jsonl"
    size = _write(file, rows=(mebibytes * MIB - ROW_BYTES) // ROW_BYTES)
    head, _, tail = form({}, b"\0").partition(b"\0")
    before = api.memory_info().rss
    with _watched(api) as peak:
        began = time.perf_counter()
        status = _post(service, file, head=head, tail=tail, size=size)
        seconds = time.perf_counter() - began
    file.unlink()
    return {
        "file_mib": round(size / MIB),
        "status": status,
        "mb_per_second": round(size / 1e6 / seconds, 1),
        "resident_growth_mib": round((max(peak) - before) / MIB, 1),
    }


def _write(file: Path, *, rows: int) -> int:
    with file.open("wb") as target:
        for number in range(rows):
            row = b'{"prompt": "%012d ' % number
            tail = b'", "completion": " yes"}\n'
            target.write(row + b"x" * (ROW_BYTES - len(row) - len(tail)) + tail)
    return file.stat().st_size


def _post(service: Installation, file: Path, *, head: bytes, tail: bytes, size: int) -> int:
    length = len(head) + size + len(tail)
    lines = (
        "POST /v1/datasets HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {service.key}",
        f"Content-Type: {_KIND}",
        f"Content-Length: {length}",
        "Connection: close",
        "",
        "",
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection, file.open("rb") as source:
        connection.sendall("\r\n".join(lines).encode() + head)
        while chunk := source.read(_CHUNK):
            connection.sendall(chunk)
        connection.sendall(tail)
        return int(connection.makefile("rb").readline().split()[1])


@contextmanager
def _watched(process: psutil.Process) -> Iterator[list[int]]:
    """Note the process's resident memory again and again."""
    seen, stop = [process.memory_info().rss], threading.Event()

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
