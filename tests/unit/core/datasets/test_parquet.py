"""Parquet is read when it is declared and is Parquet: a few kinds of columns, in a process of its own, within limits."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from core.datasets import rows
from core.datasets.containers.container import Container, declared
from core.datasets.report import ValidationReport
from core.datasets.validator import Validator
from core.domain.errors import TooLargeError

TALK = [
    {"role": "user", "content": "When?"},
    {"role": "assistant", "content": "At nine.", "weight": 1},
]
PAIRS = {"prompt": ["a", "b", "c"], "completion": [" 1", " 2", " 3"]}


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), path, **options)
    return path


def validate(file: Path, *, max_rows: int = 1_000, max_bytes: int = 1 << 20) -> ValidationReport:
    validator = Validator(max_rows=max_rows, max_bytes=max_bytes, container=Container.PARQUET, file=file)
    with file.open("rb") as content:
        while chunk := content.read(7_000):
            validator.feed(chunk)
    return validator.finish()


@pytest.mark.parametrize(
    ("columns", "format_name", "first"),
    [
        (PAIRS | {"extra": [1.5, 2.5, 3.5]}, "prompt_completion", {"prompt": "a", "completion": " 1"}),
        (
            {"label": pa.array(["x", "y"]).dictionary_encode(), "text": pa.array(["u", "v"], pa.large_string())},
            "text_label",
            {"text": "u", "label": "x"},
        ),
        ({"text": ["u", "v"], "label": pa.array([1, 0], pa.uint8())}, "text_label", {"text": "u", "label": 1}),
        ({"text": ["u", "v"]}, "text", {"text": "u"}),
        (
            {"messages": [TALK, TALK]},
            "messages",
            {"messages": [{"role": "user", "content": "When?", "weight": None}, TALK[1]]},
        ),
    ],
)
def test_each_format_is_read(tmp_path: Path, columns: dict[str, Any], format_name: str, first: dict[str, Any]) -> None:
    file = written(tmp_path / "a", columns)
    report = validate(file)
    assert (report.container, report.format, report.errors) == ("parquet", format_name, ())
    assert report.n_rows == len(next(iter(columns.values())))
    assert report.size_bytes == file.stat().st_size
    assert set(report.columns) == set(columns)
    assert next(iter(rows.read(file, container=Container.PARQUET))) == first


def test_rows_of_many_row_groups_come_in_order(tmp_path: Path) -> None:
    texts = [f"note {n}" for n in range(1_000)]
    file = written(tmp_path / "a", {"text": texts}, row_group_size=130, compression="zstd")
    assert [row["text"] for row in rows.read(file, container=Container.PARQUET)] == texts


@pytest.mark.parametrize(
    ("columns", "line", "message"),
    [
        ({"prompt": ["a", None, "c"], "completion": ["1", "2", "3"]}, 2, "'prompt' must be a string"),
        ({"text": ["a", "b", "c"], "label": ["x", "y", " z"]}, 3, "begin or end with white space"),
        ({"text": ["a", "a\0b"]}, 2, "NUL"),
        ({"text": ["a", "b" * (1 << 20)]}, 2, "longer than"),
        ({"messages": [TALK, TALK[:1]]}, 2, "the last message must be the assistant's"),
        ({"prompt": ["a", "b"]}, None, "missing field 'completion'"),
        ({"question": ["a", "b"]}, None, "no known format"),
        ({"text": [], "label": []}, None, "no rows"),
        ({"text": ["a"]}, None, "fewer than 2 rows"),
        ({"text": ["a", "b"], "label": [1.0, 2.0]}, None, "'label' holds values of another kind"),
        ({"text": [b"a", b"b"]}, None, "'text' holds values of another kind"),
        ({"text": [[[[["a"]]]]] * 2}, None, "'text' holds values of another kind"),
        ({f"c{n}": ["a", "b"] for n in range(1_001)}, None, "more than 1000 columns"),
    ],
)
def test_what_is_wrong_is_named_by_its_row(
    tmp_path: Path, columns: dict[str, Any], line: int | None, message: str
) -> None:
    typed = {name: values or pa.array(values, pa.string()) for name, values in columns.items()}
    report = validate(written(tmp_path / "a", typed), max_bytes=1 << 24)
    assert report.errors[0].line == line
    assert message in report.errors[0].message


def test_what_is_not_parquet_is_refused_unread(tmp_path: Path) -> None:
    whole = written(tmp_path / "a", PAIRS).read_bytes()
    broken = {
        "no magic": b'{"prompt": "a", "completion": "b"}\n' * 3,
        "empty": b"",
        "cut": whole[:-5],
        "magic alone": b"PAR1PAR1",
        "a footer of nonsense": whole[:-20] + b"\xff" * 12 + whole[-8:],
        "an endless footer": whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        "pages of nonsense": whole[:4] + bytes(200) + whole[204:],
        "encrypted": b"PARE" + whole[4:-4] + b"PARE",
    }
    for name, content in broken.items():
        (tmp_path / "b").write_bytes(content)
        (error,) = validate(tmp_path / "b").errors
        assert error.line is None, name
        assert "Parquet" in error.message, name


def test_a_small_file_of_endless_rows_is_too_large(tmp_path: Path) -> None:
    file = written(tmp_path / "a", {"text": ["x" * 100_000] * 400})
    assert file.stat().st_size < 100_000
    with pytest.raises(TooLargeError, match="more than 1048576 bytes"):
        validate(file)


def test_too_many_rows_end_the_reading(tmp_path: Path) -> None:
    (error,) = validate(written(tmp_path / "a", {"text": [f"{n}" for n in range(2_000)]}), max_rows=300).errors
    assert (error.line, error.message) == (301, "the file has more than 300 rows")


def test_the_service_itself_never_loads_what_decodes(tmp_path: Path) -> None:
    written(tmp_path / "a", PAIRS)
    program = f"""
import sys
from pathlib import Path
from core.datasets import rows
from core.datasets.containers.container import Container
assert len(list(rows.read(Path({str(tmp_path / "a")!r}), container=Container.PARQUET))) == 3
assert "pyarrow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_reader_that_is_left_early_leaves_no_process(tmp_path: Path) -> None:
    file = written(tmp_path / "a", {"text": ["x" * 1_000] * 20_000})
    reading = rows.read(file, container=Container.PARQUET)
    assert next(iter(reading))["text"] == "x" * 1_000
    reading.close()  # type: ignore[attr-defined]
    told = subprocess.run(["pgrep", "-f", f"parquet_process {file}"], capture_output=True, check=False)
    assert told.stdout == b""


@pytest.mark.parametrize(
    ("media_type", "name", "container"),
    [
        (None, None, "jsonl"),
        ("application/octet-stream", "a.PARQUET", "parquet"),
        ("application/vnd.ms-excel", "a.csv", "csv"),
        ("text/csv; charset=utf-8", "a.txt", "csv"),
        ("text/csv", "a.jsonl", "csv"),
        ("application/x-ndjson", "a.csv", "jsonl"),
        ("application/vnd.apache.parquet", "rows", "parquet"),
        ("application/octet-stream", "csv", "jsonl"),
        ("text/plain", "a.csv.gz", "jsonl"),
    ],
)
def test_the_container_is_what_the_upload_says(media_type: str | None, name: str | None, container: str) -> None:
    assert declared(media_type, name) == container
