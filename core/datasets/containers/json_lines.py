"""JSON Lines: one object a line."""

from collections.abc import Iterator
from typing import Any, Final

from core.datasets.containers.container import ENDLESS, MAGIC_BYTES, MAX_BLANK_LINES, Header, Record, foreign
from core.datasets.example import Fault
from core.datasets.lines import MAX_LINE_BYTES, Line, LineSplitter
from core.domain import strict_json
from core.domain.errors import InvalidError

_CSV_HINT: Final = "a CSV file is named .csv, or sent as text/csv"


class JsonLines:
    """A `core.datasets.containers.container.Reader` of JSON Lines."""

    def __init__(self) -> None:
        self.blank_lines = 0
        self.done = False
        self._splitter = LineSplitter()
        self._head = b""

    def feed(self, chunk: bytes) -> Iterator[Header | Record]:
        """Yield a record for each line that has something on it."""
        self._head += chunk[: MAGIC_BYTES - len(self._head)]
        for line in self._splitter.feed(chunk):
            if record := self._record(line):
                yield record
            if self.done:
                return

    def finish(self) -> Iterator[Header | Record]:
        """Yield the last line, if the file did not end with a line feed."""
        if not self.done:
            for line in self._splitter.finish():
                if record := self._record(line):
                    yield record

    def _record(self, line: Line) -> Record | None:
        """Return what a line holds; None for a blank one."""
        number, data = line
        if number == 1 and (fault := foreign(self._head)):
            self.done = True
            return Record(None, fault=fault)
        if data is None:
            return Record(number, fault=Fault(f"the line is longer than {MAX_LINE_BYTES} bytes"))
        if not data or data.isspace():
            return self._blank(number)
        row, fault = parse(data.removesuffix(b"\r"))
        if fault and number == 1 and not data.lstrip().startswith((b"{", b"[")):
            fault = Fault(fault.message, hint=fault.hint or _CSV_HINT)
        return Record(number, row, fault)

    def _blank(self, number: int) -> Record | None:
        self.blank_lines += 1
        if self.blank_lines <= MAX_BLANK_LINES:
            return None
        self.done = True
        return Record(number, fault=ENDLESS)


def parse(data: bytes) -> tuple[dict[str, Any] | None, Fault | None]:
    """Return the object that a line spells, or why it spells none."""
    if b"\r" in data:
        return None, Fault("a carriage return inside a line", hint="end lines with a line feed")
    try:
        row = strict_json.loads(data)
    except InvalidError as error:
        return None, Fault(error.detail)
    if not isinstance(row, dict):
        return None, Fault("a line must be a JSON object")
    return row, None
