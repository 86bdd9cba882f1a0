"""Rows of an accepted file: read back one by one, and known by a digest of what they say."""

import hashlib
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.datasets.catalogue import FORMATS
from core.datasets.containers import opening
from core.datasets.containers.container import Container, Header, Record
from core.datasets.example import Row

_CHUNK_BYTES: Final = 256 * 1024
_DIGEST_BYTES: Final = 8


def digest(row: Row, *, columns: tuple[str, ...]) -> int:
    """Return the first 64 bits of the SHA-256 of the row's own columns: the same row has the same digest anywhere.

    The columns are parted by NUL, which no accepted text holds. What is no text is spelled as JSON with sorted keys.
    """
    values = [row[column] for column in columns]
    try:
        canonical = "\0".join(values)
    except TypeError:
        spelled = (value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values)
        canonical = "\0".join(spelled)
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:_DIGEST_BYTES], "big")


def read(path: Path, *, container: Container = Container.JSONL) -> Iterator[Row]:
    """Yield the rows of a file that validation accepted."""
    reader = opening.reader(container, file=path)
    with path.open("rb") as file:
        while not reader.done and (chunk := file.read(_CHUNK_BYTES)):
            yield from _rows(reader.feed(chunk))
    yield from _rows(reader.finish())


def digests(path: Path, *, format_name: str, container: Container = Container.JSONL) -> "array[int]":
    """Return the digest of every row, in the file's order."""
    columns = FORMATS[format_name].columns
    return array("Q", (digest(row, columns=columns) for row in read(path, container=container)))


def _rows(items: Iterator[Header | Record]) -> Iterator[Row]:
    for item in items:
        if isinstance(item, Record) and item.row is not None:
            yield item.row
