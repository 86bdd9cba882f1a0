"""Rows of an accepted file: read back line by line, and known by a digest of what they say."""

import hashlib
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from core.datasets.catalogue import FORMATS
from core.datasets.example import Row
from core.datasets.lines import LineSplitter

_CHUNK_BYTES: Final = 256 * 1024
_DIGEST_BYTES: Final = 8


def digest(row: Row, *, columns: tuple[str, ...]) -> int:
    """Return the first 64 bits of the SHA-256 of the row's own columns: the same row has the same digest anywhere.

    The columns are parted by NUL, which no accepted text holds. What is no text is spelled as JSON with sorted keys.
    """
    values = (row[column] for column in columns)
    canonical = "\0".join(value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values)
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:_DIGEST_BYTES], "big")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file that validation accepted."""
    splitter = LineSplitter()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            for line in splitter.feed(chunk):
                yield from _row(line.data)
    for line in splitter.finish():
        yield from _row(line.data)


def digests(path: Path, *, format_name: str) -> "array[int]":
    """Return the digest of every row, in the file's order."""
    columns = FORMATS[format_name].columns
    return array("Q", (digest(row, columns=columns) for row in read(path)))


def _row(data: bytes | None) -> Iterator[dict[str, Any]]:
    if data and not data.isspace():
        yield json.loads(data)
