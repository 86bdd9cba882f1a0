"""A byte stream cut into lines, in flat memory: what is kept is at most one line of bounded length."""

from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_LINE_BYTES: Final = 1024 * 1024


class Line(NamedTuple):
    """One line without its line feed; ``data`` is None when it was longer than `MAX_LINE_BYTES`."""

    number: int
    data: bytes | None


class LineSplitter:
    r"""Splits on ``\n`` and nothing else: other line separators of Unicode are ordinary text."""

    def __init__(self) -> None:
        self._number = 1
        self._open: list[bytes] = []
        self._open_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that ``chunk`` completes."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if self._open_bytes or len(piece) > MAX_LINE_BYTES:
                self._extend(piece)
                yield self._take()
            else:
                yield Line(self._number, piece)
                self._number += 1
        self._extend(rest)

    def finish(self) -> Iterator[Line]:
        """Yield the last line, if the stream did not end with a line ending."""
        if self._open_bytes:
            yield self._take()

    def _extend(self, piece: bytes) -> None:
        self._open_bytes += len(piece)
        if self._open_bytes > MAX_LINE_BYTES:
            self._open.clear()
        elif piece:
            self._open.append(piece)

    def _take(self) -> Line:
        data = None if self._open_bytes > MAX_LINE_BYTES else b"".join(self._open)
        line = Line(self._number, data)
        self._number += 1
        self._open.clear()
        self._open_bytes = 0
        return line
