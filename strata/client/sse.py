"""Server-sent events, decoded from bytes (WHATWG HTML, section 9.2.6), as far as the service uses them.

Decoded here and not with `iter_lines` of the HTTP library: that one also splits at U+2028 and its like, which may
stand inside a line of JSON.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its id (for `Last-Event-ID`), its type and its data."""

    id: str | None
    event: str
    data: str


def decode(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the complete events of a body; heartbeats (comments) and an event cut off at the end are dropped."""
    fields: dict[str, list[str]] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        else:
            if "data" in fields:
                yield _event(fields)
            fields = {}


def _event(fields: dict[str, list[str]]) -> ServerEvent:
    return ServerEvent(
        id=fields["id"][-1] if "id" in fields else None,
        event=fields["event"][-1] if "event" in fields else "message",
        data="\n".join(fields["data"]),
    )


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines without their end: a line feed, or one after a carriage return."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.removesuffix(b"\r").decode(errors="replace")
