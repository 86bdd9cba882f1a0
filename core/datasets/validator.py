"""Validation of a task file while it streams in: every row is judged once, in flat memory."""

import hashlib
from array import array
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from core.datasets import rows
from core.datasets.catalogue import FORMATS
from core.datasets.containers import opening
from core.datasets.containers.container import Container, Header, Record
from core.datasets.example import Fault, Format, Row
from core.datasets.report import MAX_ERRORS, LineError, ValidationReport

MIN_ROWS: Final = 2
MAX_LABELS: Final = 1_000
MAX_COLUMNS: Final = 64
_MAX_NAMED: Final = 10
_KNOWN: Final = ", or ".join(" and ".join(f"'{column}'" for column in each.columns) for each in FORMATS.values())


class Validator:
    """Takes a file in chunks; `finish` tells what it is worth.

    Args:
        max_rows: a file of more rows is refused.
        container: what the file is said to be.
        file: where the chunks lie once they are complete; Parquet is read from there.
        max_bytes: what the rows may take as JSON Lines, where the file itself does not show it.
    """

    def __init__(
        self,
        *,
        max_rows: int,
        container: Container = Container.JSONL,
        file: Path | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.digests = array("Q")
        self._max_rows = max_rows
        self._container = container
        self._reader = opening.reader(container, file=file, max_bytes=max_bytes)
        self._hash = hashlib.sha256()
        self._size = 0
        self._format: Format | None = None
        self._columns: dict[str, None] = {}
        self._labels: set[str] = set()
        self._label_type: type | None = None
        self._is_closed = False
        self._errors: list[LineError] = []

    @property
    def failed(self) -> bool:
        """Whether the file is refused already; what follows is only hashed once the error list is full."""
        return bool(self._errors)

    def feed(self, chunk: bytes) -> None:
        """Judge the rows that ``chunk`` completes."""
        self._hash.update(chunk)
        self._size += len(chunk)
        if not self._full() and not self._reader.done:
            self._judge_all(self._reader.feed(chunk))

    def finish(self) -> ValidationReport:
        """Judge the last row and the file as a whole, which must be on disk by now.

        Raises:
            TooLargeError: the rows take more than ``max_bytes``.
        """
        if not self._full():
            self._judge_all(self._reader.finish())
        if not self._errors:
            self._judge_whole()
        return ValidationReport(
            container=self._container,
            format=self._format.name if self._format else None,
            n_rows=len(self.digests),
            columns=tuple(self._columns),
            labels=tuple(sorted(self._labels)) if self._labels else None,
            warnings=() if self._errors else tuple(self._warnings()),
            errors=tuple(self._errors),
            sha256=self._hash.hexdigest(),
            size_bytes=self._size,
        )

    def _full(self) -> bool:
        return self._is_closed or len(self._errors) >= MAX_ERRORS or len(self.digests) > self._max_rows

    def _judge_all(self, items: Iterator[Header | Record]) -> None:
        for item in items:
            if isinstance(item, Header):
                self._judge_header(item)
            elif faults := self._faults(item):
                self._note(item.number, faults)
            else:
                continue
            if self._full():
                return

    def _judge_header(self, header: Header) -> None:
        """Choose the format: where a header cannot be, no row can."""
        self._note(header.line, self._column_faults(header.columns))
        self._is_closed = self.failed
        if self._format:
            self._note_columns((*self._format.columns, *header.columns))

    def _note(self, number: int | None, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._errors.append(LineError(line=number, message=fault.message, hint=fault.hint))
            if self._full():
                return

    def _faults(self, record: Record) -> list[Fault]:
        row = record.row
        if record.fault or row is None:
            return [record.fault or Fault("the row says nothing")]
        if self._format is None or not all(column in row for column in self._format.columns):
            faults = self._column_faults(row.keys())
            if self._format is None or faults:
                return faults
        return list(self._format.faults(row)) or self._count(row, self._format)

    def _column_faults(self, columns: Collection[str]) -> list[Fault]:
        form = self._format or _closest(columns)
        if form is None:
            return [Fault(f"no known format: a row has {_KNOWN}")]
        self._format = form
        missing = [column for column in form.columns if column not in columns]
        if not missing:
            return []
        names = ", ".join(f"'{column}'" for column in missing)
        return [Fault(f"missing field {names}", hint=f"a row has {_KNOWN}")]

    def _count(self, row: Row, form: Format) -> list[Fault]:
        """Count a row without faults; return what is wrong with it among the others."""
        self.digests.append(rows.digest(row, columns=form.columns))
        if len(self.digests) > self._max_rows:
            return [Fault(f"the file has more than {self._max_rows} rows")]
        if not row.keys() <= self._columns.keys():
            self._note_columns((*form.columns, *row))
        label = form.label(row)
        fault = None if label is None else self._label_fault(label, kind=type(row["label"]))
        return [fault] if fault else []

    def _note_columns(self, columns: Iterable[str]) -> None:
        for column in columns:
            if len(self._columns) < MAX_COLUMNS:
                self._columns.setdefault(column)

    def _label_fault(self, label: str, *, kind: type) -> Fault | None:
        self._label_type = self._label_type or kind
        if kind is not self._label_type:
            return Fault("labels are strings in some rows and numbers in others", hint="use strings throughout")
        if label not in self._labels:
            if len(self._labels) >= MAX_LABELS:
                return Fault(f"the file has more than {MAX_LABELS} different labels")
            self._labels.add(label)
        return None

    def _judge_whole(self) -> None:
        if not self.digests:
            self._errors.append(LineError(line=None, message="the file has no rows"))
        elif len(self.digests) < MIN_ROWS:
            self._errors.append(LineError(line=None, message=f"the file has fewer than {MIN_ROWS} rows"))

    def _warnings(self) -> Iterator[str]:
        own = self._format.columns if self._format else ()
        if extra := [column for column in self._columns if column not in own]:
            named = ", ".join(column[:64] for column in extra[:_MAX_NAMED])
            yield f"columns that are not used: {named}"
        if blank := self._reader.blank_lines:
            yield f"{blank} blank lines were skipped"
        if repeated := sum(a == b for a, b in pairwise(sorted(self.digests))):
            yield f"{repeated} rows repeat an earlier row"
        if len(self._labels) == 1:
            yield "every row has the same label: there is nothing to tell apart"


def _closest(columns: Collection[str]) -> Format | None:
    """The format that shares most columns with the first row or the header, and of these the one that misses fewest."""

    def nearness(form: Format) -> tuple[int, int]:
        shared = len(set(columns) & set(form.columns))
        return shared, shared - len(form.columns)

    best = max(FORMATS.values(), key=nearness)
    return best if nearness(best)[0] else None
