"""CSV is read as RFC 4180 has it, record by record, and what is not that is refused by its line."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets import rows
from core.datasets.containers import opening
from core.datasets.containers.container import Container, Record
from core.datasets.lines import MAX_LINE_BYTES
from core.datasets.report import ValidationReport
from core.datasets.validator import Validator

HEAD = b"prompt,completion\n"
GOOD = HEAD + b"a, b\nc, d\n"


def validate(data: bytes, *, chunk: int = 1 << 20, max_rows: int = 1_000) -> ValidationReport:
    validator = Validator(max_rows=max_rows, container=Container.CSV)
    for start in range(0, len(data), chunk):
        validator.feed(data[start : start + chunk])
    return validator.finish()


def read(data: bytes, *, chunk: int = 1 << 20) -> list[dict[str, object]]:
    reader = opening.reader(Container.CSV, file=None)
    items = [item for start in range(0, len(data), chunk) for item in reader.feed(data[start : start + chunk])]
    return [dict(item.row) for item in [*items, *reader.finish()] if isinstance(item, Record) and item.row is not None]


def test_a_report_tells_the_container_and_the_format() -> None:
    report = validate(b"label,text,note\r\nbasalt,the tap drips,x\r\n\r\nember,the lamp is out,y\r\n")
    assert (report.container, report.format, report.n_rows, report.errors) == ("csv", "text_label", 2, ())
    assert report.labels == ("basalt", "ember")
    assert report.columns == ("text", "label", "note")
    assert report.warnings == ("columns that are not used: note", "1 blank lines were skipped")


@pytest.mark.parametrize("chunk", [1, 3, 4096])
def test_a_field_is_read_exactly_whatever_the_chunks(chunk: int) -> None:
    data = b'\xef\xbb\xbfprompt,completion\r\n"a ""b"", c",  d \r\n"two\nlines\r\n","\xc3\xa9"\r\n"",x'
    assert read(data, chunk=chunk) == [
        {"prompt": 'a "b", c', "completion": "  d "},
        {"prompt": "two\nlines\r\n", "completion": "é"},
        {"prompt": "", "completion": "x"},
    ]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=6), always=st.booleans())
def test_what_python_writes_is_read_back(rows: list[tuple[str, str, str]], always: bool) -> None:  # noqa: FBT001
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL)
    writer.writerows([("a", "b", "c"), *rows])
    assert [tuple(row.values()) for row in read(file.getvalue().encode())] == rows


def test_rows_have_the_same_digests_as_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'note,label,text\nx,1,"a, b"\ny,2,c\n')
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a, b", "label": 1}\n{"label": "2", "text": "c"}\n')
    found = [
        list(rows.digests(tmp_path / f"a.{container}", format_name="text_label", container=container))
        for container in (Container.CSV, Container.JSONL)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"", None, "no rows"),
        (b"\xef\xbb\xbf", None, "no rows"),
        (b"\n \n\r\n", None, "no rows"),
        (HEAD, None, "no rows"),
        (HEAD + b"a,b\n", None, "fewer than 2 rows"),
        (b"a,b\nc,d\n", 1, "no known format"),
        (b"prompt,other\nc,d\n", 1, "missing field 'completion'"),
        (b"prompt,completion,prompt\na,b,c\n", 1, "column 3 repeats the name of column 1"),
        (b",prompt,completion\n0,a,b\n", 1, "column 1 has no name"),
        (GOOD + b"only\n", 4, "1 fields where the header has 2"),
        (GOOD + b"\na,b,c\n", 5, "3 fields where the header has 2"),
        (GOOD + b'5" pipe,x\ny,z\n', 4, "quote inside a field"),
        (GOOD + b'"a" b,x\n', 4, "quote inside a field"),
        (GOOD + b'5"6" pipe,x\n', 4, "quote inside a field"),
        (GOOD + b'a,"never closed\nb,c\nd,e\n', 4, "never closed"),
        (GOOD + b'"two\nlines",x,y\nq,r\n', 4, "3 fields"),
        (GOOD + b"caf\xe9,b\n", 4, "not UTF-8"),
        (GOOD + b"a\0b,c\n", 4, "NUL"),
        (GOOD + b"a\rb,c\n", 4, "carriage return"),
        (b"prompt,completion\ra,b\rc,d\r", 1, "carriage return"),
        (GOOD + b"  ,b\n", 4, "no visible character"),
        (GOOD + b'"a' + b"\nbbbbbbbbbbbbbbb" * (MAX_LINE_BYTES // 16) + b'",c\n', 4, "longer than"),
        (GOOD + b"a" * MAX_LINE_BYTES + b",c\n", 4, "longer than"),
        (HEAD.decode().encode("utf-16"), 1, "not UTF-8"),
        (b"PAR1" + HEAD + b"PAR1", None, "the file is Parquet"),
        (b"PK\x03\x04 an Excel file", None, "zip"),
    ],
)
@pytest.mark.parametrize("chunk", [100_000, 1 << 22])
def test_what_is_wrong_is_named_by_its_line(data: bytes, line: int | None, message: str, chunk: int) -> None:
    (error,) = validate(data, chunk=chunk).errors
    assert error.line == line
    assert message in error.message


def test_twenty_errors_end_it() -> None:
    report = validate(HEAD + b"a\n" * 50, chunk=9)
    assert [error.line for error in report.errors] == list(range(2, 22))


def test_conversations_stand_in_a_column_of_json() -> None:
    talk = '[{""role"": ""user"", ""content"": ""Hi\nthere""}, {""role"": ""assistant"", ""content"": ""Yes.""}]'
    good = validate(f'messages\n"{talk}"\n"{talk}"\n'.replace("Hi\nthere", "Hi").encode())
    assert (good.format, good.n_rows, good.errors) == ("messages", 2, ())
    (broken,) = validate(f'messages\n"{talk}"\n'.encode()).errors
    assert (broken.line, broken.hint) == (2, "in CSV this column holds JSON")
    assert "'messages': not valid JSON" in broken.message


def test_errors_never_echo_what_was_sent() -> None:
    for data in (b"sekret,x\n1,2\n", GOOD + b"sekret\n", b"sekret,sekret\n", GOOD + b'sekret"\n'):
        assert "sekret" not in validate(data).model_dump_json()


def test_an_endless_quote_keeps_memory_flat() -> None:
    validator = Validator(max_rows=10, container=Container.CSV)
    validator.feed(HEAD + b'"')
    chunk = (b"a" * 63 + b"\n") * 1_000
    tracemalloc.start()
    for _ in range(500):
        validator.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * MAX_LINE_BYTES
    (error,) = validator.finish().errors
    assert error.line == 2
