"""What cannot be accepted is refused with a code and a place, and leaves no row and no file behind."""

from typing import Any

import anyio
import pytest
import stage
from doors import MULTIPART, Door, Echo, labelled, places, prompted
from starlette.testclient import TestClient

from api.main import create_app
from core.domain.errors import UnavailableError
from core.registry.work import Registry
from core.settings import Settings
from core.storage.blobs import LocalBlobStore

GOOD = labelled(20)
BROKEN_ON_7 = b"".join([*GOOD.splitlines(keepends=True)[:6], b'{"text": "a", "label": \n', *GOOD.splitlines(True)[7:]])
NO_LABEL_ON_3 = b"".join([*GOOD.splitlines(keepends=True)[:2], b'{"text": "a"}\n', GOOD])

BAD: dict[str, tuple[dict[str, str], dict[str, bytes], int, str, list[Any]]] = {
    "empty file": ({}, {"file": b""}, 422, "invalid_dataset", ["file"]),
    "broken JSON on line 7": ({}, {"file": BROKEN_ON_7}, 422, "invalid_dataset", ["file"]),
    "missing field": ({}, {"file": NO_LABEL_ON_3}, 422, "invalid_dataset", ["file"]),
    "one row": ({}, {"file": labelled(1)}, 422, "invalid_dataset", ["file"]),
    "bad eval file": ({}, {"file": GOOD, "eval_file": b"x"}, 422, "invalid_dataset", ["eval_file"]),
    "unknown model": ({"model": "nobody"}, {"file": GOOD}, 404, "model_not_found", ["model"]),
    "rank 0": (
        {"spec": '{"adapter": {"rank": 0}}'},
        {"file": GOOD},
        422,
        "invalid_request",
        ["spec", "adapter", "rank"],
    ),
    "NaN learning rate": (
        {"spec": '{"training": {"learning_rate": NaN}}'},
        {"file": GOOD},
        400,
        "malformed_json",
        ["spec", "training", "learning_rate"],
    ),
    "zero learning rate": (
        {"spec": '{"training": {"learning_rate": 0}}'},
        {"file": GOOD},
        422,
        "invalid_request",
        ["spec", "training", "learning_rate"],
    ),
    "learning rate as text": (
        {"spec": '{"training": {"learning_rate": "0.1"}}'},
        {"file": GOOD},
        422,
        "invalid_request",
        ["spec", "training", "learning_rate"],
    ),
    "unknown field": ({"spec": '{"trust": true}'}, {"file": GOOD}, 422, "invalid_request", ["spec", "trust"]),
    "spec that is no JSON": ({"spec": "{"}, {"file": GOOD}, 400, "malformed_json", ["spec"]),
    "spec that is no object": ({"spec": "[]"}, {"file": GOOD}, 422, "invalid_request", ["spec"]),
    "unknown method": ({"spec": '{"method": "magic"}'}, {"file": GOOD}, 422, "invalid_request", ["spec", "method"]),
    "option missing": (
        {"spec": '{"data": {"options": ["basalt", "quill"]}}'},
        {"file": GOOD},
        422,
        "invalid_request",
        ["spec", "data", "options"],
    ),
    "options without classes": (
        {"spec": '{"data": {"options": ["a", "b"]}}'},
        {"file": prompted(9)},
        422,
        "invalid_request",
        ["spec", "data", "options"],
    ),
    "bad name": ({"name": "../x"}, {"file": GOOD}, 422, "invalid_name", ["name"]),
    "leak": ({}, {"file": GOOD, "eval_file": labelled(5, start=18)}, 422, "leak", ["eval_file"]),
    "two formats": ({}, {"file": GOOD, "eval_file": prompted(5)}, 422, "invalid_dataset", ["eval_file"]),
    "two sources": ({"dataset_id": "data_0"}, {"file": GOOD}, 422, "invalid_request", ["file"]),
    "no source": ({}, {"eval_file": GOOD}, 422, "invalid_request", ["file"]),
    "foreign dataset": ({"eval_dataset_id": "data_0"}, {"file": GOOD}, 404, "dataset_not_found", []),
    "moved parent": ({"expected_parent": "ver_0"}, {"file": GOOD}, 409, "parent_conflict", []),
    "unknown part": ({"project_id": "x"}, {"file": GOOD}, 422, "invalid_request", ["project_id"]),
    "too many rows": ({}, {"file": labelled(5_001)}, 422, "invalid_dataset", ["file"]),
    "too many bytes": ({}, {"file": labelled(2) + b" " * (5 * 1024 * 1024)}, 413, "too_large", []),
    "long text": ({"spec": " " * 300_000}, {"file": GOOD}, 413, "too_large", ["spec"]),
}


# Most of these are refused before any database is asked: one database tells, and all at once tell the other.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_sqlite
@pytest.mark.parametrize("case", BAD)
def test_a_bad_upload_is_refused_and_leaves_nothing(desk: Door, case: str) -> None:
    refuse(desk, case)


@on_postgresql
def test_no_bad_upload_leaves_anything_on_postgresql(desk: Door) -> None:
    for case in BAD:
        refuse(desk, case)


def refuse(desk: Door, case: str) -> None:
    fields, files, status, code, loc = BAD[case]
    before = desk.contents()
    answer = desk.post_task(fields=fields, **files)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if loc:
        assert places(answer)[0] == loc
    assert desk.contents() == before
    assert desk.wakes.job_ids == []


@on_sqlite
def test_the_line_that_is_broken_is_named(desk: Door) -> None:
    (error,) = desk.post_task(file=BROKEN_ON_7).json()["errors"]
    assert error["line"] == 7
    (error,) = desk.post_task(file=NO_LABEL_ON_3).json()["errors"]
    assert error["line"] == 3
    assert "'label'" in error["message"]


def _part(name: str, content: bytes, boundary: bytes = b"xx") -> bytes:
    head = b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n' % (boundary, name.encode())
    return head + content + b"\r\n"


FIELDS = _part("model", b"desk") + _part("name", b"codes")
RAW: dict[str, tuple[bytes, str, int, str]] = {
    "no multipart at all": (b"hello", MULTIPART, 400, "malformed_multipart"),
    "empty body": (b"", MULTIPART, 422, "invalid_request"),
    "no boundary": (FIELDS, "multipart/form-data", 400, "malformed_multipart"),
    "cut off": (FIELDS + _part("file", GOOD)[:-40], MULTIPART, 400, "malformed_multipart"),
    "part twice": (FIELDS + _part("name", b"b") + b"--xx--\r\n", MULTIPART, 422, "invalid_request"),
    "endless header": (
        b'--xx\r\nContent-Disposition: form-data; name="' + b"a" * 300_000,
        MULTIPART,
        400,
        "malformed_multipart",
    ),
    "latin-1": (_part("model", b"caf\xe9") + _part("file", GOOD) + b"--xx--", MULTIPART, 400, "malformed_request"),
    "NUL": (_part("model", b"a\0b") + _part("file", GOOD) + b"--xx--", MULTIPART, 422, "invalid_text"),
    "form": (b"model=desk", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    "nothing said": (b"{}", "", 415, "unsupported_media_type"),
}


@on_sqlite
@pytest.mark.parametrize("case", RAW)
def test_a_body_that_is_no_form_is_refused_and_leaves_nothing(desk: Door, case: str) -> None:
    body, content_type, status, code = RAW[case]
    before = desk.contents()
    answer = desk.client.post("/v1/tasks", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert desk.contents() == before


@on_sqlite
def test_a_caller_that_goes_away_leaves_nothing(desk: Door) -> None:
    before = desk.contents()
    body = FIELDS + _part("file", GOOD)
    arrivals = iter(
        [{"type": "http.request", "body": body[:200], "more_body": True}, {"type": "http.disconnect"}],
    )
    headers = [(b"host", b"localhost"), (b"content-type", MULTIPART.encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/tasks",
        "raw_path": b"/v1/tasks",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "http_version": "1.1",
        "server": ("localhost", 80),
    }

    async def receive() -> Any:
        return next(arrivals)

    async def send(_: Any) -> None:
        return

    anyio.run(desk.client.app, scope, receive, send)
    assert desk.contents() == before


@on_sqlite
def test_a_compressed_body_is_refused(desk: Door) -> None:
    answer = desk.client.post(
        "/v1/tasks", content=b"x", headers={"Content-Type": MULTIPART, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 415


def test_a_refused_copy_of_a_stored_file_leaves_the_stored_one(desk: Door) -> None:
    desk.post_task(file=GOOD).raise_for_status()
    before = desk.contents()
    assert desk.post_task(fields={"model": "nobody", "name": "b"}, file=GOOD).status_code == 404
    assert desk.contents() == before


class Broken:
    """A dispatcher that does not keep its promise never to raise."""

    def wake(self, job_id: str) -> None:
        raise UnavailableError(job_id)


def test_a_file_stays_once_its_row_is_committed(settings: Settings, registry: Registry) -> None:
    stage.ready_base(registry)
    stage.new_model(registry)
    blobs = LocalBlobStore(settings.blobs_dir)
    app = create_app(settings, registry=registry, blobs=blobs, dispatcher=Broken(), generator=Echo())
    with TestClient(app, base_url="http://localhost") as client:
        door = Door(client, registry, settings, stage.Wakes(), Echo())
        assert door.post_task(file=GOOD).status_code == 503
        rows, files = door.contents()
        assert len(rows["task"]) == 1
        assert files == [f"blobs/{rows['dataset'][0][2]}"]
