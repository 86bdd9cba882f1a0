"""The process that decodes one Parquet file: ``python -m core.datasets.containers.parquet_process FILE COLUMN ...``.

It writes JSON Lines: ``{"columns": [...]}`` or ``{"refused", "hint"}``, then one row a line. It limits itself before it
loads what reads the file, and reads in small batches.
"""

import json
import os
import resource
import sys
from collections.abc import Sequence
from typing import Any, Final

NOT_READABLE: Final = 3
TOO_MUCH_MEMORY: Final = 4
MEMORY_BYTES: Final = 2 * 1024**3
CPU_SECONDS: Final = 600
MAX_FILE_COLUMNS: Final = 1_000
MAX_NESTING: Final = 4
_BATCH_ROWS: Final = 256
_BUFFER_BYTES: Final = 1024 * 1024
_FOOTER_STRING_BYTES: Final = 16 * 1024 * 1024
_FOOTER_ITEMS: Final = 200_000


class RefusedError(Exception):
    """The file is readable, and holds what is not read here."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def main(file: str, columns: Sequence[str]) -> int:
    """Write the rows; return the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    import pyarrow as pa

    try:
        _write(file, columns)
    except RefusedError as error:
        _say({"refused": str(error), "hint": error.hint})
    except MemoryError:
        return TOO_MUCH_MEMORY
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        return NOT_READABLE
    return 0


def _write(file: str, columns: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    pa.set_cpu_count(1)
    limits = {"thrift_string_size_limit": _FOOTER_STRING_BYTES, "thrift_container_size_limit": _FOOTER_ITEMS}
    # With a buffer, a column is read piece by piece instead of a row group at a time.
    with parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False, memory_map=False, **limits) as opened:
        schema = opened.schema_arrow
        wanted = _wanted(schema, columns)
        _say({"columns": list(schema.names)})
        for batch in opened.iter_batches(batch_size=_BATCH_ROWS, columns=wanted, use_threads=False):
            for row in batch.to_pylist():
                _say(row)


def _wanted(schema: Any, columns: Sequence[str]) -> list[str]:
    names = list(schema.names)
    if len(names) > MAX_FILE_COLUMNS:
        raise RefusedError(f"the file has more than {MAX_FILE_COLUMNS} columns", hint="leave out what is not learned")
    for n, name in enumerate(names):
        if name in names[:n]:
            raise RefusedError(f"column {n + 1} repeats the name of column {names.index(name) + 1}", hint="rename it")
    wanted = [name for name in columns if name in names]
    for name in wanted:
        if not _is_read(schema.field(name).type, nesting=1):
            hint = "texts, whole numbers, and lists of objects of these are read: write the column as one of them"
            raise RefusedError(f"the column '{name}' holds values of another kind", hint=hint)
    return wanted


def _is_read(kind: Any, *, nesting: int) -> bool:
    from pyarrow import types

    if nesting > MAX_NESTING:
        return False
    if types.is_dictionary(kind):
        return _is_read(kind.value_type, nesting=nesting)
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_read(kind.value_type, nesting=nesting + 1)
    if types.is_struct(kind):
        return all(_is_read(field.type, nesting=nesting + 1) for field in kind)
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_null(kind))


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    code = main(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    # Nothing is left to tidy, and the libraries' own ending is not needed.
    os._exit(code)
