"""CSV and Parquet through the door: every format, and what is refused."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
import stage
from doors import Door, labelled, places
from pyarrow import parquet

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

Rows = Sequence[Mapping[str, Any]]


def as_csv(rows: Rows) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({name: json.dumps(value) if name == "messages" else value for name, value in row.items()})
    return file.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink)
    return sink.getvalue()


CONTAINERS = {"csv": (as_csv, "a.csv"), "parquet": (as_parquet, "a.parquet")}
FORMATS: dict[str, Rows] = {
    "prompt_completion": [{"prompt": f'"{n}",\nwhat?', "completion": f" {n}"} for n in range(12)],
    "text_label": [{"text": f"note {n}, wet", "label": ("basalt", "ember")[n % 2]} for n in range(12)],
    "text": [{"text": f"The harbour was built in {n}."} for n in range(12)],
    "messages": [
        {"messages": [{"role": "user", "content": f"On day {n}?"}, {"role": "assistant", "content": "At nine."}]}
        for n in range(12)
    ],
}


def part(container: str, rows: Rows) -> tuple[str, bytes]:
    write, name = CONTAINERS[container]
    return name, write(rows)


def post(door: Door, *, model: str = "desk", **files: tuple[str, bytes] | tuple[str, bytes, str]) -> Any:
    return door.client.post("/v1/tasks", data={"model": model, "name": "codes"}, files=files)


@pytest.fixture
def chat(door: Door) -> Door:
    """The service with the model `desk` on a base that can learn every format."""
    facts = stage.FACTS.model_copy(update={"chat_template": "{{ messages }}"})
    stage.ready_base(door.registry, "other", facts=facts)
    door.client.post("/v1/models", json={"name": "desk", "base_model": "other"}).raise_for_status()
    return door


@on_sqlite
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_task_of_every_format_is_accepted_and_previewed(chat: Door, container: str, format_name: str) -> None:
    name, content = part(container, FORMATS[format_name])
    as_lines = "".join(json.dumps(row) + "\n" for row in FORMATS[format_name]).encode()
    reference = chat.client.post("/v1/datasets", files={"file": ("a.jsonl", as_lines)}).json()

    posted = post(chat, file=(name, content))

    assert posted.status_code == 202, posted.text
    task = chat.client.get(f"/v1/tasks/{posted.json()['task_id']}").json()
    made = chat.client.get(f"/v1/datasets/{task['dataset_id']}").json()
    assert (made["container"], made["format"], made["n_rows"]) == (container, format_name, 12)
    assert made["size_bytes"] == len(content)
    assert made["labels"] == reference["labels"]
    assert chat.settings.blobs_dir.joinpath(made["sha256"]).read_bytes() == content
    report = chat.client.get(f"/v1/datasets/{made['id']}/report").json()["report"]
    assert (report["container"], report["errors"], report["n_rows"]) == (container, [], 12)
    previews = [
        chat.client.get(f"/v1/datasets/{each['id']}/preview", params={"limit": 3}).json()["data"]
        for each in (made, reference)
    ]
    assert previews[0] == previews[1]
    assert len(previews[0]) == 3


GOOD = FORMATS["text_label"]
CSV = as_csv(GOOD)
PARQUET = as_parquet(GOOD)
NO_LABEL = as_parquet([*GOOD[:3], {"text": "note", "label": None}, *GOOD[3:]])
MEDIA = "application/vnd.apache.parquet"

# What is posted, and what of it is told: status, code, the part, the line, and a word of the message.
BAD: dict[str, tuple[dict[str, Any], int, str, str, int | None, str]] = {
    "parquet named jsonl": ({"file": ("a.jsonl", PARQUET)}, 422, "invalid_dataset", "file", None, "is Parquet"),
    "parquet named csv": ({"file": ("a.csv", PARQUET)}, 422, "invalid_dataset", "file", None, "is Parquet"),
    "parquet of no name": ({"file": ("a", PARQUET)}, 422, "invalid_dataset", "file", None, "is Parquet"),
    "jsonl named parquet": ({"file": ("a.parquet", labelled(9))}, 422, "invalid_dataset", "file", None, "not Parquet"),
    "jsonl sent as parquet": (
        {"file": ("a.jsonl", labelled(9), MEDIA)},
        422,
        "invalid_dataset",
        "file",
        None,
        "not Parquet",
    ),
    "csv named jsonl": ({"file": ("a.jsonl", CSV)}, 422, "invalid_dataset", "file", 1, "not valid JSON"),
    "excel": ({"file": ("a.csv", b"PK\x03\x04rest")}, 422, "invalid_dataset", "file", None, "zip"),
    "pickle": ({"file": ("a.pkl", b"\x80\x04\x95abc\n")}, 422, "invalid_dataset", "file", None, "pickle"),
    "gzip": ({"file": ("a.csv.gz", b"\x1f\x8b\x08abc\n")}, 422, "invalid_dataset", "file", None, "gzip"),
    "empty csv": ({"file": ("a.csv", b"")}, 422, "invalid_dataset", "file", None, "no rows"),
    "header alone": ({"file": ("a.csv", b"text,label\r\n")}, 422, "invalid_dataset", "file", None, "no rows"),
    "twin columns": ({"file": ("a.csv", b"text,text\na,b\n")}, 422, "invalid_dataset", "file", 1, "repeats the name"),
    "ragged row": ({"file": ("a.csv", CSV + b"\na\n")}, 422, "invalid_dataset", "file", 15, "1 fields"),
    "quote left open": ({"file": ("a.csv", CSV + b'"a,b\nc\n')}, 422, "invalid_dataset", "file", 14, "never closed"),
    "latin-1 csv": ({"file": ("a.csv", CSV + b"caf\xe9,b\n")}, 422, "invalid_dataset", "file", 14, "UTF-8"),
    "utf-16 csv": (
        {"file": ("a.csv", CSV.decode().encode("utf-16"))},
        422,
        "invalid_dataset",
        "file",
        1,
        "UTF-8",
    ),
    "empty cell": ({"file": ("a.csv", CSV + b"note,\n")}, 422, "invalid_dataset", "file", 14, "no visible character"),
    "null cell": ({"file": ("a.parquet", NO_LABEL)}, 422, "invalid_dataset", "file", 4, "string or a whole number"),
    "cut parquet": ({"file": ("a.parquet", PARQUET[:-9])}, 422, "invalid_dataset", "file", None, "not Parquet"),
    "broken parquet": (
        {"file": ("a.parquet", PARQUET[:4] + bytes(300) + PARQUET[304:])},
        422,
        "invalid_dataset",
        "file",
        None,
        "cannot be read as Parquet",
    ),
    "float labels": (
        {"file": ("a.parquet", as_parquet([{"text": "a", "label": 0.5}] * 3))},
        422,
        "invalid_dataset",
        "file",
        None,
        "another kind",
    ),
    "no known column": (
        {"file": ("a.parquet", as_parquet([{"question": "a"}] * 3))},
        422,
        "invalid_dataset",
        "file",
        None,
        "no known format",
    ),
    "parquet bomb": (
        {"file": ("a.parquet", as_parquet([{"text": "x" * 50_000}] * 200))},
        413,
        "too_large",
        "",
        None,
        "",
    ),
    "too many rows": (
        {"file": ("a.parquet", as_parquet([{"text": f"{n}"} for n in range(5_001)]))},
        422,
        "invalid_dataset",
        "file",
        5_001,
        "more than 5000 rows",
    ),
    "csv leak": (
        {"file": ("a.parquet", PARQUET), "eval_file": ("b.csv", CSV)},
        422,
        "leak",
        "eval_file",
        None,
        "row 1",
    ),
    "bad eval file": (
        {"file": ("a.csv", CSV), "eval_file": ("b.parquet", CSV)},
        422,
        "invalid_dataset",
        "eval_file",
        None,
        "not Parquet",
    ),
}


@on_sqlite
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_and_leaves_nothing(chat: Door, case: str) -> None:
    files, status, code, part_name, line, message = BAD[case]
    before = chat.contents()

    answer = post(chat, **files)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if part_name:
        assert places(answer)[0] == [part_name]
        error = answer.json()["errors"][0]
        assert error["line"] == line
        assert message in error["message"]
    assert chat.contents() == before
    assert chat.wakes.job_ids == []


@on_sqlite
def test_a_parquet_of_another_name_is_told_how_to_send_it(chat: Door) -> None:
    (error,) = post(chat, file=("a.jsonl", PARQUET)).json()["errors"]
    assert error["hint"] == "name it .parquet, or send it as application/vnd.apache.parquet"
    assert post(chat, file=("a.jsonl", PARQUET, MEDIA)).status_code == 202


def test_the_datasets_of_either_container_are_kept_told_apart_and_deleted(desk: Door) -> None:
    for container in CONTAINERS:
        name, content = part(container, GOOD)
        answers = [desk.client.post("/v1/datasets", files={"file": (name, content)}).json() for _ in range(2)]
        assert answers[0]["id"] == answers[1]["id"]
        posted = desk.client.post(
            "/v1/tasks", json={"model": "desk", "name": container, "dataset_id": answers[0]["id"], "spec": {}}
        )
        assert posted.status_code == 202, posted.text
    listed = desk.client.get("/v1/datasets").json()["data"]
    assert sorted(each["container"] for each in listed) == ["csv", "parquet"]
    assert [desk.client.delete(f"/v1/datasets/{each['id']}").status_code for each in listed] == [409, 409]
    for job in desk.client.get("/v1/jobs", params={"model": "desk"}).json()["data"]:
        desk.client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
    desk.client.delete("/v1/models/desk").raise_for_status()
    assert [desk.client.delete(f"/v1/datasets/{each['id']}").status_code for each in listed] == [200, 200]
    assert desk.contents()[1] == []
