"""Files are judged line by line, whatever the chunks they arrive in."""

import hashlib
import json
import tracemalloc

import pytest

from core.datasets.lines import MAX_LINE_BYTES
from core.datasets.report import ValidationReport
from core.datasets.validator import MAX_LABELS, Validator
from core.domain.errors import InvalidError

GOOD = b'{"prompt": "a", "completion": " b"}\n'


def validate(data: bytes, *, chunk: int = 1 << 20, max_rows: int = 1_000) -> ValidationReport:
    validator = Validator(max_rows=max_rows)
    for start in range(0, len(data), chunk):
        validator.feed(data[start : start + chunk])
    return validator.finish()


def labelled(*labels: object) -> bytes:
    return b"".join(json.dumps({"text": f"t{n}", "label": label}).encode() + b"\n" for n, label in enumerate(labels))


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_the_report_does_not_depend_on_the_chunks(chunk: int) -> None:
    data = GOOD + b'{"prompt": "\xc3\xa9", "completion": "x", "extra": 1}\r\n\n' + b'{"prompt": "q", "completion": "r"}'
    report = validate(data, chunk=chunk)
    assert report == validate(data)
    assert report.errors == ()
    assert (report.format, report.n_rows) == ("prompt_completion", 3)
    assert report.columns == ("prompt", "completion", "extra")
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert report.size_bytes == len(data)
    assert report.warnings == ("columns that are not used: extra", "1 blank lines were skipped")


def test_labels_are_reported_sorted() -> None:
    assert validate(labelled("b", "a", "b")).labels == ("a", "b")
    assert validate(labelled(1, 0)).labels == ("0", "1")


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\r\n"])
def test_a_file_without_rows_is_refused(data: bytes) -> None:
    (error,) = validate(data).errors
    assert (error.line, error.message) == (None, "the file has no rows")


def test_a_single_row_is_too_few() -> None:
    (error,) = validate(GOOD).errors
    assert error.message == "the file has fewer than 2 rows"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prompt": "a", "completion"', "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"prompt": "caf\xe9", "completion": "b"}', "not UTF-8"),
        (b'{"prompt": "a\x00", "completion": "b"}', "not valid JSON"),
        (b'{"prompt": "a\\u0000", "completion": "b"}', "NUL"),
        (b'{"prompt": "\\ud800", "completion": "b"}', "surrogate"),
        (b'{"prompt": "a", "prompt": "a", "completion": "b"}', "same key twice"),
        (b'{"prompt": "a", "completion": NaN}', "finite number"),
        (b'{"prompt": "a", "completion": "b", "x": ' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
        (b'["prompt"]', "must be a JSON object"),
        (b'{"prompt": "a"}', "missing field 'completion'"),
        (b'{"prompt": "  ", "completion": "b"}', "no visible character"),
        (b'{"prompt": "\\u0001\\u0002", "completion": "b"}', "no visible character"),
        (b'{"prompt": 3, "completion": "b"}', "must be a string"),
        (b'{"prompt": "a",\r"completion": "b"}', "carriage return"),
        (b'{"prompt": "' + b"a" * MAX_LINE_BYTES + b'", "completion": "b"}', "longer than"),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: bytes, message: str) -> None:
    (error,) = validate(GOOD * 6 + line + b"\n" + GOOD).errors
    assert error.line == 7
    assert message in error.message


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (labelled("a", 1), 2, "strings in some rows"),
        (labelled("a", True), 2, "string or a whole number"),
        (labelled("a", None), 2, "string or a whole number"),
        (labelled("a", " b"), 2, "begin or end with white space"),
        (labelled("a", "b\nc"), 2, "one line"),
        (labelled("a", "b" * 201), 2, "at most 200"),
        (labelled(*range(MAX_LABELS + 1)), MAX_LABELS + 1, "different labels"),
    ],
)
def test_labels_are_short_alike_and_few(data: bytes, line: int, message: str) -> None:
    (error,) = validate(data, max_rows=10_000).errors
    assert error.line == line
    assert message in error.message


def test_a_row_of_no_known_format_says_which_formats_there_are() -> None:
    error = validate(b'{"instruction": "x"}\n').errors[0]
    assert "'prompt' and 'completion', or 'text' and 'label'" in error.message


def test_one_error_is_one_error() -> None:
    with pytest.raises(InvalidError, match=r"the file has 1 error$"):
        validate(GOOD * 2 + b"x\n").accepted(part="file")


def test_validation_stops_after_twenty_errors_but_hashes_on() -> None:
    data = b"x\n" * 50
    report = validate(data, chunk=9)
    assert [error.line for error in report.errors] == list(range(1, 21))
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    with pytest.raises(InvalidError, match="at least 20 errors") as raised:
        report.accepted(part="file")
    assert raised.value.code == "invalid_dataset"
    assert raised.value.places[3].loc == ("file",)
    assert raised.value.places[3].line == 4


def test_rows_over_the_cap_are_refused() -> None:
    (error,) = validate(GOOD * 9, max_rows=5).errors
    assert error.line == 6


def test_repeated_rows_and_a_single_class_are_only_warnings() -> None:
    report = validate(b'{"text": "t", "label": "a"}\n' * 3)
    assert report.errors == ()
    assert report.warnings == (
        "2 rows repeat an earlier row",
        "every row has the same label: there is nothing to tell apart",
    )


def test_unicode_line_separators_stay_inside_their_row() -> None:
    report = validate('{"prompt": "a\u2028b\x85c", "completion": "d"}\n'.encode() + GOOD)
    assert report.n_rows == 2


def test_errors_never_echo_what_was_sent() -> None:
    report = validate(b'{"sekret": 1}\n{"prompt": "sekret"}\nsekret\n')
    assert "sekret" not in report.model_dump_json()


def test_one_endless_line_keeps_memory_flat() -> None:
    validator = Validator(max_rows=10)
    chunk = b"a" * (1 << 16)
    tracemalloc.start()
    for _ in range(1_000):
        validator.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_LINE_BYTES
    (error,) = validator.finish().errors
    assert error.line == 1
