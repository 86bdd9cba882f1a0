"""The reader of a file, by the container it is in."""

from pathlib import Path

from core.datasets.catalogue import FORMATS
from core.datasets.containers.comma_separated import CommaSeparated
from core.datasets.containers.container import Container, Reader
from core.datasets.containers.json_lines import JsonLines
from core.datasets.containers.parquet import ParquetRows


def reader(container: Container, *, file: Path | None, max_bytes: int | None = None) -> Reader:
    """Return a reader that has read nothing yet.

    Args:
        container: what the file is said to be; a file that is not is refused by its reader.
        file: where its bytes lie, or will lie once they are complete; only Parquet needs it.
        max_bytes: what the rows may take as JSON Lines, where the file itself does not show it.

    Raises:
        ValueError: Parquet without a file.
    """
    if container is Container.JSONL:
        return JsonLines()
    if container is Container.CSV:
        return CommaSeparated(json_columns=_columns(json_only=True))
    if file is None:
        raise ValueError("Parquet is read from a file")
    return ParquetRows(file, columns=_columns(json_only=False), max_bytes=max_bytes)


def _columns(*, json_only: bool) -> tuple[str, ...]:
    """Return the columns of all formats, each once; with ``json_only`` those whose values are no plain text."""
    named = (each.json_columns if json_only else each.columns for each in FORMATS.values())
    return tuple(dict.fromkeys(column for columns in named for column in columns))
