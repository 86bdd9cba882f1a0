"""Validation of a task file while it streams in: every line is judged once, in flat memory."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

from core.datasets import rows
from core.datasets.catalogue import FORMATS
from core.datasets.example import Fault, Format
from core.datasets.lines import MAX_LINE_BYTES, Line, LineSplitter
from core.datasets.report import MAX_ERRORS, LineError, ValidationReport
from core.domain import strict_json
from core.domain.errors import InvalidError

MIN_ROWS: Final = 2
MAX_LABELS: Final = 1_000
MAX_COLUMNS: Final = 64
_MAX_NAMED: Final = 10
_KNOWN: Final = ", or ".join(" and ".join(f"'{column}'" for column in each.columns) for each in FORMATS.values())


class Validator:
    """Takes a JSON Lines file in chunks; `finish` tells what it is worth.

    Args:
        max_rows: a file of more rows is refused.
    """

    def __init__(self, *, max_rows: int) -> None:
        self.digests = array("Q")
        self._max_rows = max_rows
        self._splitter = LineSplitter()
        self._hash = hashlib.sha256()
        self._size = 0
        self._format: Format | None = None
        self._columns: dict[str, None] = {}
        self._labels: set[str] = set()
        self._label_type: type | None = None
        self._blank_lines = 0
        self._errors: list[LineError] = []

    @property
    def failed(self) -> bool:
        """Whether the file is refused already; what follows is only hashed once the error list is full."""
        return bool(self._errors)

    def feed(self, chunk: bytes) -> None:
        """Judge the lines that ``chunk`` completes."""
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._full():
            return
        for line in self._splitter.feed(chunk):
            self._judge(line)
            if self._full():
                return

    def finish(self) -> ValidationReport:
        """Judge the last line and the file as a whole."""
        if not self._full():
            for line in self._splitter.finish():
                self._judge(line)
        if not self._errors:
            self._judge_whole()
        return ValidationReport(
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
        return len(self._errors) >= MAX_ERRORS or len(self.digests) > self._max_rows

    def _judge(self, line: Line) -> None:
        if line.data is not None and (not line.data or line.data.isspace()):
            self._blank_lines += 1
            return
        for fault in self._faults(line):
            self._errors.append(LineError(line=line.number, message=fault.message, hint=fault.hint))
            if self._full():
                return

    def _faults(self, line: Line) -> Iterator[Fault]:
        if line.data is None:
            yield Fault(f"the line is longer than {MAX_LINE_BYTES} bytes")
            return
        row, fault = _parse(line.data)
        if fault:
            yield fault
            return
        faults = list(self._row_faults(row))
        yield from faults
        if not faults:
            yield from self._count(row)

    def _row_faults(self, row: dict[str, Any]) -> Iterator[Fault]:
        form = self._format or _closest(row)
        if form is None:
            yield Fault(f"no known format: a row has {_KNOWN}")
            return
        self._format = form
        missing = [column for column in form.columns if column not in row]
        if missing:
            names = ", ".join(f"'{column}'" for column in missing)
            yield Fault(f"missing field {names}", hint=f"a row has {_KNOWN}")
            return
        yield from form.faults(row)

    def _count(self, row: dict[str, Any]) -> Iterator[Fault]:
        form = self._format
        if form is None:  # pragma: no cover - a row without faults has told the format
            return
        self.digests.append(rows.digest(row, columns=form.columns))
        if len(self.digests) > self._max_rows:
            yield Fault(f"the file has more than {self._max_rows} rows")
        if not row.keys() <= self._columns.keys():
            self._note_columns((*form.columns, *row))
        label = form.label(row)
        if label is not None:
            yield from self._count_label(label, kind=type(row["label"]))

    def _note_columns(self, columns: Iterable[str]) -> None:
        for column in columns:
            if len(self._columns) < MAX_COLUMNS:
                self._columns.setdefault(column)

    def _count_label(self, label: str, *, kind: type) -> Iterator[Fault]:
        self._label_type = self._label_type or kind
        if kind is not self._label_type:
            yield Fault("labels are strings in some rows and numbers in others", hint="use strings throughout")
            return
        if label not in self._labels and len(self._labels) >= MAX_LABELS:
            yield Fault(f"the file has more than {MAX_LABELS} different labels")
            return
        self._labels.add(label)

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
        if self._blank_lines:
            yield f"{self._blank_lines} blank lines were skipped"
        if repeated := sum(a == b for a, b in pairwise(sorted(self.digests))):
            yield f"{repeated} rows repeat an earlier row"
        if len(self._labels) == 1:
            yield "every row has the same label: there is nothing to tell apart"


def _parse(data: bytes) -> tuple[dict[str, Any], Fault | None]:
    if b"\r" in data:
        return {}, Fault("a carriage return inside a line", hint="end lines with a line feed")
    try:
        row = strict_json.loads(data)
    except InvalidError as error:
        return {}, Fault(error.detail)
    if not isinstance(row, dict):
        return {}, Fault("a line must be a JSON object")
    return row, None


def _closest(row: dict[str, Any]) -> Format | None:
    """The format that shares most columns with the first row, and of these the one that misses fewest."""

    def nearness(form: Format) -> tuple[int, int]:
        shared = len(row.keys() & set(form.columns))
        return shared, shared - len(form.columns)

    best = max(FORMATS.values(), key=nearness)
    return best if nearness(best)[0] else None
