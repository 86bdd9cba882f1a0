"""What every container of a task file must answer: how its bytes become rows. What the rows say is a format's matter."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final, NamedTuple, Protocol

from core.datasets.example import Fault, Row


class Container(StrEnum):
    """The ways to write rows into a file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Header(NamedTuple):
    """The columns of every row, told before the first; ``line`` is where, if that is a line."""

    line: int | None
    columns: tuple[str, ...]


class Record(NamedTuple):
    """A row, or what is wrong with it or with the file.

    Attributes:
        number: the line on which it begins, or in Parquet the row's number, both from 1; None for the whole file.
    """

    number: int | None
    row: Row | None = None
    fault: Fault | None = None


class Reader(Protocol):
    """Reads one file, in flat memory."""

    blank_lines: int

    @property
    def done(self) -> bool:
        """Whether the file's remaining bytes need not be fed."""

    def feed(self, chunk: bytes) -> Iterator[Header | Record]:
        """Yield what ``chunk`` completes."""

    def finish(self) -> Iterator[Header | Record]:
        """Yield what the end of the file completes; from here on the file itself may be read, too."""


_BY_MEDIA_TYPE: Final[Mapping[str, Container]] = {
    "application/x-ndjson": Container.JSONL,
    "application/jsonl": Container.JSONL,
    "application/x-jsonlines": Container.JSONL,
    "text/csv": Container.CSV,
    "application/csv": Container.CSV,
    "application/vnd.apache.parquet": Container.PARQUET,
    "application/x-parquet": Container.PARQUET,
}
_BY_ENDING: Final[Mapping[str, Container]] = {f".{each}": each for each in Container} | {".ndjson": Container.JSONL}

# A file of nothing but line feeds would keep a processor busy for as long as it is.
MAX_BLANK_LINES: Final = 100_000
ENDLESS: Final = Fault(f"the file has more than {MAX_BLANK_LINES} blank lines")

PARQUET_MAGIC: Final = b"PAR1"
MAGIC_BYTES: Final = 6
_FOREIGN: Final[Mapping[bytes, tuple[str, str]]] = {
    PARQUET_MAGIC: ("Parquet", "name it .parquet, or send it as application/vnd.apache.parquet"),
    b"ARROW1": ("an Arrow file", "write it as Parquet"),
    b"PK\x03\x04": ("a zip archive, as .xlsx and .pt files are", "send the rows as JSON Lines, CSV or Parquet"),
    b"\x1f\x8b": ("compressed by gzip", "send it unpacked"),
    b"BZh": ("compressed by bzip2", "send it unpacked"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "send it unpacked"),
    b"\xfd7zXZ": ("compressed by xz", "send it unpacked"),
    **{bytes([0x80, protocol]): ("a pickle, which is never read", "send JSON Lines") for protocol in range(2, 6)},
}


def declared(media_type: str | None, file_name: str | None) -> Container:
    """Return the container that an upload is said to be: by its media type, else by its name's ending, else JSONL."""
    by_type = _BY_MEDIA_TYPE.get((media_type or "").partition(";")[0].strip().lower())
    return by_type or _BY_ENDING.get(PurePath(file_name or "").suffix.lower(), Container.JSONL)


def of_report(report: Mapping[str, Any]) -> Container:
    """Return the container of a stored file by its validation report; the first reports knew JSONL only."""
    return Container(report.get("container", Container.JSONL))


def foreign(head: bytes) -> Fault | None:
    """Return what a file of text is instead, by its first `MAGIC_BYTES`."""
    for magic, (what, hint) in _FOREIGN.items():
        if head.startswith(magic):
            return Fault(f"the file is {what}", hint=hint)
    return None
