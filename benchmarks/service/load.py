"""Clients that ask as fast as they are answered, each over one kept connection; cheap enough to share the cores."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

Request = Callable[[int, int], bytes]

CLIENTS: Final = 16
_LENGTH: Final = b"content-length:"
_SUCCESS: Final = range(200, 300)


@dataclass(slots=True)
class Load:
    """What a time of asking gave; ``statuses`` counts answers, 0 is a connection that broke."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        """Return rate, latencies in milliseconds, and whatever was no success."""
        failed = {str(status): count for status, count in self.statuses.items() if status not in _SUCCESS}
        return {
            "per_second": round(len(self.latencies) / self.seconds, 1),
            "p50_ms": milliseconds(self.latencies, 50),
            "p99_ms": milliseconds(self.latencies, 99),
            "answers": sum(self.statuses.values()),
            "failures": failed,
        }


def milliseconds(seconds: list[float], percent: int) -> float:
    """Return a percentile in milliseconds."""
    return round(1000 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1], 2)


def request(method: str, path: str, *, key: str = "", kind: str = "", body: bytes = b"") -> bytes:
    """Return one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drive(make: Request, *, port: int, seconds: float, clients: int = CLIENTS) -> Load:
    """Ask for so long; ``make`` returns the request of a client's number and turn."""
    return asyncio.run(_drive(make, port, seconds, clients))


async def _drive(make: Request, port: int, seconds: float, clients: int) -> Load:
    load = Load()
    began = time.perf_counter()
    await asyncio.gather(*(_client(make, number, port, began + seconds, load) for number in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def _client(make: Request, number: int, port: int, until: float, load: Load) -> None:
    turn = 0
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.perf_counter() < until:
                asked = make(number, turn)
                turn += 1
                began = time.perf_counter()
                writer.write(asked)
                status = await answered(reader)
                load.statuses[status] += 1
                if status in _SUCCESS:
                    load.latencies.append(time.perf_counter() - began)
        except (asyncio.IncompleteReadError, ConnectionError):
            load.statuses[0] += 1
        finally:
            writer.close()


async def answered(reader: asyncio.StreamReader) -> int:
    """Read one answer and return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.removeprefix(_LENGTH)) for line in lines if line.startswith(_LENGTH)), 0)
    await reader.readexactly(length)
    return int(head[9:12])
