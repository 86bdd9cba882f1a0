"""90 to 125: files of rows. A refusal names the line; what is odd but harmless is a warning, and inert."""

import gzip
import hashlib
import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from cases import CANARY, Case, covers, parametrised, refuse, require_problem
from doors import Door, labelled

GOOD: Final = labelled(20, start=1)
_NUMBERS: Final = count(1)


def upload(door: Door, content: bytes, *, name: str = "rows.jsonl", media_type: str = "application/jsonl") -> Any:
    return door.client.post("/v1/datasets", files={"file": (name, content, media_type)})


def sent(content: bytes, **how: str) -> Callable[[Door], Any]:
    return lambda door: upload(door, content, **how)


def row(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def on_line(line: int, content: bytes) -> bytes:
    """Return a good file but for one line."""
    lines = GOOD.splitlines(keepends=True)
    return b"".join([*lines[: line - 1], content.rstrip(b"\n") + b"\n", *lines[line:]])


def lines(number: int, line: int | None, /, **contents: bytes) -> list[Case]:
    """Return cases of refused files by name; ``line`` is what the refusal names."""
    return [
        Case(
            number=number,
            name=name.replace("_", " "),
            send=sent(content),
            code="invalid_dataset",
            loc=["file"],
            line=line,
        )
        for name, content in contents.items()
    ]


def zipped(name: str = "rows.jsonl", content: bytes = GOOD) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return held.getvalue()


def tarred(*names: str, link: str | None = None) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            if link is None:
                member.size = len(GOOD)
            else:
                member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member, io.BytesIO(GOOD))
    return held.getvalue()


class Trap:
    """Writes a file when a pickle of it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


GZIP: Final = gzip.compress(GOOD)
FOREIGN: Final[dict[str, bytes]] = {
    "zip": zipped(),
    "tar": tarred("rows.jsonl"),
    "xlsx": zipped("xl/workbook.xml", b"<workbook/>"),
    "pt": zipped("archive/data.pkl", pickle.dumps([CANARY])),
    "pickle": pickle.dumps({"text": CANARY}),
    "old pickle": pickle.dumps({"text": CANARY}, protocol=0),
    "Parquet": b"PAR1" + bytes(range(256)) * 8 + b"PAR1",
    "SQLite": b"SQLite format 3\0" + bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}
LONG: Final = 2 * 1024 * 1024

CASES: Final = [
    *lines(90, None, empty=b""),
    *lines(91, None, white_space=b" \n\t\n\n"),
    *lines(91, 1, a_mark=b"\xef\xbb\xbf", a_mark_and_rows=b"\xef\xbb\xbf" + GOOD),
    Case(
        number=92,
        name="header without rows",
        send=sent(b"text,label\n", name="rows.csv", media_type="text/csv"),
        code="invalid_dataset",
        loc=["file"],
    ),
    *lines(93, None, one_row=labelled(1)),
    Case(number=94, name="larger than an upload may be", send=sent(labelled(2) + b" " * 17_000_000), code="too_large"),
    *lines(99, 5_001, a_row_too_many=labelled(5_001), ten_times_too_many=b'{"text":"a","label":"b"}\n' * 50_000),
    *lines(
        100, 7,
        broken=on_line(7, b'{"text": "a", "label": \n'), no_json=on_line(7, CANARY.encode()), twice=on_line(7, b"{}{}"),
        key_twice=on_line(7, b'{"text": "a", "text": "b", "label": "c"}'), deep=on_line(7, b"[" * 50_000),
        long_number=on_line(7, b'{"text": "a", "label": ' + b"1" * 5_000 + b"}"),
    ),
    *lines(101, 3, array=on_line(3, b"[]"), text=on_line(3, b'"a"'), number=on_line(3, b"7"), null=on_line(3, b"null")),
    *lines(102, 3, missing_label=on_line(3, row(text="a")), missing_text=on_line(3, row(label="a"))),
    *lines(102, 1, no_known_field=row(a=CANARY) * 3),
    *lines(
        103, 5,
        empty_text=on_line(5, row(text="", label="a")), blanks=on_line(5, row(text="  \u3000 ", label="a")),
        control_characters=on_line(5, row(text="\x01\x02\x1b", label="a")),
        ten_megabytes=on_line(5, row(text="a" * 10_000_000, label="a")), no_text=on_line(5, row(text=7, label="a")),
    ),
    *lines(105, 1, lone_CR=GOOD.replace(b"\n", b"\r")),
    *lines(105, 4, CR_inside=on_line(4, b'{"text": "a",\r "label": "b"}')),
    *lines(106, 9, latin_1=on_line(9, '{"text": "café", "label": "a"}'.encode("latin-1"))),
    *lines(106, 1, UTF_16=GOOD.decode().encode("utf-16")),
    *lines(107, 6, NUL=on_line(6, b'{"text": "a\0b", "label": "a"}'), escaped=on_line(6, rb'{"text": "a\u0000b", "label": "a"}')),
    *lines(107, 6, half_a_pair=on_line(6, rb'{"text": "a\ud800b", "label": "a"}')),
    *lines(108, 2, NaN=on_line(2, b'{"text": "a", "label": NaN}'), infinite=on_line(2, b'{"text": "a", "label": 1e999}')),
    *lines(
        109, 8,
        number_among_texts=on_line(8, row(text="a", label=7)), true=on_line(8, row(text="a", label=True)),
        null=on_line(8, row(text="a", label=None)), fraction=on_line(8, row(text="a", label=0.5)),
        list=on_line(8, row(text="a", label=["a"])),
    ),
    *lines(110, 1_001, too_many_labels=b"".join(row(text="a", label=f"label {n}") for n in range(1_200))),
    *lines(110, 2, long_label=on_line(2, row(text="a", label="b" * 201))),
    *lines(110, 2, label_of_a_megabyte=on_line(2, row(text="a", label="b" * LONG))),
    *lines(110, 2, label_of_two_lines=on_line(2, row(text="a", label="b\nc")), blank_label=on_line(2, row(text="a", label=" "))),
    Case(
        number=114,
        name="eval rows among the training rows",
        send=lambda door: door.post_task(file=GOOD, eval_file=labelled(5, start=18)),
        code="leak",
        loc=["eval_file"],
    ),
    Case(
        number=114,
        name="the very same file",
        send=lambda door: door.post_task(file=GOOD, eval_file=GOOD),
        code="leak",
        loc=["eval_file"],
    ),
    *(
        Case(
            number=number,
            name=name,
            send=sent(content),
            code="invalid_dataset",
            loc=["file"],
            note="compressed files are not read, so nothing is ever inflated",
        )
        for number, name, content in (
            (116, "gzip bomb", gzip.compress(bytes(20_000_000))),
            (117, "gzip", GZIP),
            (117, "gzip cut off", GZIP[:-9]),
            (117, "gzip with a tail", GZIP + b"tail"),
            (117, "gzip of two members", GZIP + GZIP),
        )
    ),
    Case(
        number=116,
        name="gzip on the way",
        send=lambda door: door.client.post(
            "/v1/datasets",
            content=GZIP,
            headers={"Content-Type": "multipart/form-data; boundary=xx", "Content-Encoding": "gzip"},
        ),
        code="unsupported_media_type",
    ),
    Case(
        number=118,
        name="a file that is no part of a form",
        send=lambda door: [
            door.client.post("/v1/datasets", content=GOOD, headers={"Content-Type": each})
            for each in ("application/jsonl", "text/csv", "application/zip", "application/json", "")
        ],
        code="unsupported_media_type",
    ),
    *(
        Case(number=118, name=f"{name} named .jsonl", send=sent(content), code="invalid_dataset", loc=["file"])
        for name, content in FOREIGN.items()
    ),
    *(
        Case(
            number=119,
            name=f"tar with {name}",
            send=sent(content),
            code="invalid_dataset",
            loc=["file"],
            note="no archive is ever opened",
        )
        for name, content in {
            "a link": tarred("rows.jsonl", link="/etc/passwd"),
            "a way up": tarred("../../../escaped.jsonl"),
            "a way from the root": tarred("/tmp/escaped.jsonl"),
        }.items()
    ),
]  # fmt: skip


@parametrised(CASES)
def test_a_bad_file_is_refused_and_leaves_nothing(desk: Door, case: Case) -> None:
    refuse(desk, case)


def test_no_bad_file_leaves_anything_on_postgresql(desk_on_postgresql: Door, subtests: pytest.Subtests) -> None:
    for case in CASES:
        with subtests.test(str(case)):
            refuse(desk_on_postgresql, case)


def test_the_first_twenty_errors_are_told(desk: Door) -> None:
    body = require_problem(upload(desk, b"x\n" * 1_000), "invalid_dataset")
    assert [place["line"] for place in body["errors"]] == list(range(1, 21))
    assert body["detail"] == "the file has at least 20 errors"


@covers(118)
def test_no_pickle_is_read(desk: Door, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    for content in (pickle.dumps(Trap(trap)), zipped("archive/data.pkl", pickle.dumps(Trap(trap)))):
        for name, media_type in (("a.jsonl", "application/jsonl"), ("a.pt", "application/octet-stream"), ("a.pkl", "")):
            require_problem(upload(desk, content, name=name, media_type=media_type), "invalid_dataset")
    assert not trap.exists()
    pickle.loads(pickle.dumps(Trap(trap)))
    assert trap.exists(), "the trap works"


@covers(95)
def test_a_file_that_is_not_the_one_that_was_meant_is_refused(desk: Door) -> None:
    def post(sha256: str) -> Any:
        files = {"file": ("rows.jsonl", GOOD)}
        return desk.client.post("/v1/datasets", data={"sha256": sha256}, files=files)

    other = hashlib.sha256(b"other").hexdigest()
    refuse(desk, Case(number=95, name="another", send=lambda _: post(other), code="invalid_dataset", loc=["sha256"]))
    refuse(desk, Case(number=95, name="none", send=lambda _: post(CANARY), code="invalid_request", loc=["sha256"]))
    assert post(hashlib.sha256(GOOD).hexdigest()).status_code == 201
