"""CSV as RFC 4180 has it, with a header, in UTF-8: read record by record, the text of a field exactly as it is written."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from core.datasets.containers.container import ENDLESS, MAGIC_BYTES, MAX_BLANK_LINES, Header, Record, foreign
from core.datasets.example import Fault
from core.datasets.lines import MAX_LINE_BYTES, Line, LineSplitter
from core.domain import strict_json
from core.domain.errors import InvalidError

# Spreadsheets begin their UTF-8 files with it; it is no part of the first column's name.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_QUOTED: Final = r'"(?:[^"]++|"")*+'
_FIELD: Final = re.compile(rf'(?:({_QUOTED})"|([^",\r\n]*+))(,|\Z)')
# A record that goes on in the next line: whole fields, then one whose quote is still open.
_OPEN: Final = re.compile(rf'(?:(?:{_QUOTED}"|[^",\r\n]*+),)*+{_QUOTED}\Z')
_QUOTE_HINT: Final = "enclose such a field in quotes, and write each quote inside it twice"
_TOO_LONG: Final = Fault(f"the row is longer than {MAX_LINE_BYTES} bytes", hint="is a quote never closed?")


class CommaSeparated:
    """A `core.datasets.containers.container.Reader` of CSV.

    Args:
        json_columns: columns whose fields spell JSON.
    """

    def __init__(self, *, json_columns: Collection[str]) -> None:
        self.blank_lines = 0
        self.done = False
        self._json_columns = json_columns
        self._splitter = LineSplitter()
        self._head = b""
        self._header: tuple[str, ...] | None = None
        self._open = bytearray()
        self._began = 0

    def feed(self, chunk: bytes) -> Iterator[Header | Record]:
        """Yield the header and the records that ``chunk`` completes."""
        self._head += chunk[: MAGIC_BYTES - len(self._head)]
        for line in self._splitter.feed(chunk):
            yield from self._items(line)
            if self.done:
                return

    def finish(self) -> Iterator[Header | Record]:
        """Yield the last record, if the file did not end with a line feed."""
        if self.done:
            return
        for line in self._splitter.finish():
            yield from self._items(line)
        if self._open and not self.done:
            yield self._last(self._began, Fault("a quoted field is never closed", hint=_QUOTE_HINT))

    def _items(self, line: Line) -> Iterator[Header | Record]:
        if line.number == 1 and (fault := foreign(self._head)):
            yield self._last(None, fault)
            return
        data = line.data.removeprefix(_BYTE_ORDER_MARK) if line.data and line.number == 1 else line.data
        if not self._open:
            self._began = line.number
        if data is None:
            # Whether it closed a quote is not known, so nothing behind it is either.
            yield self._last(self._began, _TOO_LONG)
        elif self._open:
            yield from self._continued(data)
        elif not data or data.isspace():
            self.blank_lines += 1
            if self.blank_lines > MAX_BLANK_LINES:
                yield self._last(line.number, ENDLESS)
        else:
            yield from self._begun(data)

    def _begun(self, data: bytes) -> Iterator[Header | Record]:
        if data.count(b'"') % 2 == 0:
            yield self._complete(data)
        elif _OPEN.match(data.decode("utf-8", errors="replace")):
            self._open += data
        else:
            yield self._refused(_stray_quote())

    def _continued(self, data: bytes) -> Iterator[Header | Record]:
        self._open += b"\n" + data
        if len(self._open) > MAX_LINE_BYTES:
            yield self._last(self._began, _TOO_LONG)
        elif data.count(b'"') % 2:
            whole = bytes(self._open)
            self._open.clear()
            yield self._complete(whole)

    def _complete(self, data: bytes) -> Header | Record:
        try:
            text = data.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            hint = "save the file as UTF-8; spreadsheets call it 'CSV UTF-8'"
            return self._refused(Fault(f"not UTF-8 (byte {error.start + 1} of the row)", hint=hint))
        if "\x00" in text:
            return self._refused(Fault("a NUL character"))
        fields = _fields(text)
        if fields is None:
            return self._refused(_stray_quote() if '"' in text else _carriage_return())
        if self._header is None:
            return self._named(fields)
        return self._record(self._header, fields)

    def _named(self, names: list[str]) -> Header | Record:
        for n, name in enumerate(names, start=1):
            if not name.strip():
                hint = "leave out an index (pandas: index=False), or name it"
                return self._refused(Fault(f"column {n} has no name in the header", hint=hint))
            if name in names[: n - 1]:
                return self._refused(Fault(f"column {n} repeats the name of column {names.index(name) + 1}"))
        self._header = tuple(names)
        return Header(self._began, self._header)

    def _record(self, header: tuple[str, ...], fields: list[str]) -> Record:
        if len(fields) != len(header):
            hint = "enclose a field that holds a comma or a line break in quotes"
            return self._refused(Fault(f"{len(fields)} fields where the header has {len(header)}", hint=hint))
        row: dict[str, Any] = dict(zip(header, fields, strict=True))
        for name in self._json_columns:
            if name in row:
                try:
                    row[name] = strict_json.loads(row[name].encode())
                except InvalidError as error:
                    return self._refused(Fault(f"'{name}': {error.detail}", hint="in CSV this column holds JSON"))
        return Record(self._began, row=row)

    def _refused(self, fault: Fault) -> Record:
        """Refuse a record. Without a header, no other one means anything."""
        self.done = self._header is None
        return Record(self._began, fault=fault)

    def _last(self, number: int | None, fault: Fault) -> Record:
        self.done = True
        return Record(number, fault=fault)


def _fields(text: str) -> list[str] | None:
    """Return the fields of one record; None if a quote or a carriage return stands where it cannot."""
    if '"' not in text:
        return None if "\r" in text else text.split(",")
    fields, position = [], 0
    while found := _FIELD.match(text, position):
        quoted, plain, end = found.groups()
        fields.append(plain if quoted is None else quoted[1:].replace('""', '"'))
        position = found.end()
        if not end:
            return fields
    return None


def _stray_quote() -> Fault:
    return Fault("a quote inside a field that does not begin with one, or behind its closing one", hint=_QUOTE_HINT)


def _carriage_return() -> Fault:
    return Fault("a carriage return inside a line", hint="end lines with a line feed")
