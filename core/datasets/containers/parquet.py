"""Parquet, decoded in a process of its own: what its C++ reader does with a hostile file stays there.

The process (`core.datasets.containers.parquet_process`) writes JSON Lines, of which no line and no whole is trusted.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from core.datasets.containers.container import PARQUET_MAGIC, Header, Record
from core.datasets.containers.json_lines import parse
from core.datasets.containers.parquet_process import TOO_MUCH_MEMORY
from core.datasets.example import Fault
from core.datasets.lines import MAX_LINE_BYTES, Line, LineSplitter
from core.domain.errors import TooLargeError

_CHUNK_BYTES: Final = 256 * 1024
# Magic, footer's length, magic: the least that a file can be.
_LEAST_BYTES: Final = 12
_HINT: Final = "write it anew, with small row groups and without encryption"
# What the process needs to find itself and its libraries; no secret of the service's is among it.
_KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
# One thread, and memory that is taken when it is needed: what the process's limit counts is what is used.
_FRUGAL: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ARROW_IO_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class ParquetRows:
    """A `core.datasets.containers.container.Reader` of Parquet.

    Args:
        file: where the fed bytes lie once they are complete.
        columns: those to be read; others are named in the header only.
        max_bytes: what the rows may take as JSON Lines; None is any amount, for files that were accepted.
    """

    def __init__(self, file: Path, *, columns: tuple[str, ...], max_bytes: int | None) -> None:
        self.blank_lines = 0
        self.done = True
        self._file = file
        self._columns = columns
        self._max_bytes = max_bytes

    def feed(self, chunk: bytes) -> Iterator[Header | Record]:
        """Yield nothing: a Parquet file begins with its end."""
        del chunk
        yield from ()

    def finish(self) -> Iterator[Header | Record]:
        """Yield the header, then a record for each row.

        Raises:
            TooLargeError: the rows take more than ``max_bytes``.
        """
        if not _has_magic(self._file):
            yield Record(None, fault=Fault("the file is not Parquet: that begins and ends with PAR1"))
            return
        yield from self._items()

    def _items(self) -> Iterator[Header | Record]:
        """Read what the process writes; left before its end, this ends the process."""
        child = subprocess.Popen(  # noqa: S603 - our own module on a file that we named
            [sys.executable, "-m", "core.datasets.containers.parquet_process", str(self._file), *self._columns],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _FRUGAL,
        )
        with child:
            try:
                for line in self._lines(child.stdout):
                    yield _item(line)
                code = child.wait()
            finally:
                child.kill()
        if code:
            yield Record(None, fault=_fault_of(code))

    def _lines(self, output: IO[bytes] | None) -> Iterator[Line]:
        splitter, read = LineSplitter(), 0
        while output and (chunk := output.read(_CHUNK_BYTES)):
            read += len(chunk)
            if self._max_bytes is not None and read > self._max_bytes:
                raise TooLargeError(f"the rows take more than {self._max_bytes} bytes as JSON Lines")
            yield from splitter.feed(chunk)


def _item(line: Line) -> Header | Record:
    """The first line names the columns or says what cannot be read; each other is a row."""
    # One line for the header: the n-th row is on line n + 1.
    number = line.number - 1
    if line.data is None:
        return Record(number or None, fault=Fault(f"the row is longer than {MAX_LINE_BYTES} bytes"))
    value, fault = parse(line.data)
    if number or fault or value is None:
        return Record(number or None, row=value, fault=fault)
    return _opening(value)


def _opening(value: dict[str, Any]) -> Header | Record:
    if "refused" in value:
        return Record(None, fault=Fault(str(value["refused"]), hint=value.get("hint")))
    return Header(None, tuple(map(str, value["columns"])))


def _fault_of(code: int) -> Fault:
    if code == TOO_MUCH_MEMORY:
        return Fault("the file takes too much memory to read", hint=_HINT)
    return Fault("the file cannot be read as Parquet", hint=_HINT)


def _has_magic(file: Path) -> bool:
    with file.open("rb") as content:
        if content.seek(0, os.SEEK_END) < _LEAST_BYTES:
            return False
        content.seek(-len(PARQUET_MAGIC), os.SEEK_END)
        tail = content.read()
        content.seek(0)
        return content.read(len(PARQUET_MAGIC)) == tail == PARQUET_MAGIC
