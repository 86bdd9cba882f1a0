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
            yield from self._records(line)
            if self.done:
                return

    def finish(self) -> Iterator[Header | Record]:
        """Yield the last line, if the file did not end with a line feed."""
        if not self.done:
            for line in self._splitter.finish():
                yield from self._records(line)

    def _records(self, line: Line) -> Iterator[Record]:
        if line.number == 1 and (fault := foreign(self._head)):
            self.done = True
            yield Record(None, fault=fault)
        elif line.data is None:
            yield Record(line.number, fault=Fault(f"the line is longer than {MAX_LINE_BYTES} bytes"))
        elif not line.data or line.data.isspace():
            self.blank_lines += 1
            if self.blank_lines > MAX_BLANK_LINES:
                self.done = True
                yield Record(line.number, fault=ENDLESS)
        else:
            row, fault = parse(line.data.removesuffix(b"\r"))
            if fault and line.number == 1 and fault.hint is None and not line.data.lstrip().startswith((b"{", b"[")):
                fault = Fault(fault.message, hint=_CSV_HINT)
            yield Record(line.number, row=row, fault=fault)


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
