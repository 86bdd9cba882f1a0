"""A task file for the wire: from disk as a stream, or from rows in memory as JSON Lines."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

Rows = Iterable[Mapping[str, Any]]
Part = tuple[str, bytes | BinaryIO, str]

MEDIA_TYPES = {".jsonl": "application/x-ndjson", ".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}


@contextmanager
def upload(file: Path | str | None, rows: Rows | None) -> Iterator[Part]:
    """Give one multipart part: (file name, content, media type).

    Raises:
        ValueError: not exactly one of ``file`` and ``rows`` is given, or a row holds what JSON has no word for.
        OSError: the file cannot be read.
    """
    if (file is None) == (rows is None):
        raise ValueError("give either a file or rows")
    if file is not None:
        path = Path(file)
        with path.open("rb") as content:
            yield path.name, content, MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    else:
        lines = (json.dumps(dict(row), allow_nan=False) for row in rows or ())
        yield "rows.jsonl", "".join(f"{line}\n" for line in lines).encode(), MEDIA_TYPES[".jsonl"]
