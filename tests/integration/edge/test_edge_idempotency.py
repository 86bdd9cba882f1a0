"""58 to 65: what is sent again, at the same moment, or too late."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final

import pytest
from cases import CANARY, Case, covers, parametrised, refuse, require_problem
from doors import Door, labelled

_NAMES: Final = count()


def post(door: Door, key: str | bytes | None, *, name: str = "", start: int = 1) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    files = {"file": ("rows.jsonl", labelled(20, start=start))}
    return door.client.post(
        "/v1/tasks", data={"model": "desk", "name": name or new_name()}, files=files, headers=headers
    )


def new_name() -> str:
    return f"task-{next(_NAMES)}"


def job_count(door: Door) -> int:
    return len(door.contents()[0]["job"])


def with_key(key: str | bytes) -> Any:
    """Return what sends a POST of each kind under ``key``."""
    given = {"Idempotency-Key": key}
    model = {"name": "never", "base_model": "tiny"}
    return lambda door: [
        post(door, key),
        door.client.post("/v1/models", json=model, headers=given),
        door.client.post("/v1/models/desk/rollback", json={"version": "0"}, headers=given),
        door.client.post("/v1/jobs/job_0/cancel", headers=given),
    ]


def head_of(door: Door, model: str) -> str:
    return door.resolve(f"{model}:latest")


def tagged(method: str, path: str, version: str) -> Any:
    """Return what asks for a move of an alias, believing that it names ``version``."""
    body = {} if method == "DELETE" else {"json": {"version": "1"}}
    return lambda door: door.client.request(method, path, headers={"If-Match": f'"{door.resolve(version)}"'}, **body)


CASES: Final = [
    *(
        Case(number=59, name=f"key {name}", send=with_key(key), code="invalid_idempotency_key")
        for name, key in {
            "of nothing": "", "of a blank": " ", "of 256 characters": "x" * 256, "with a tab": "a\tb",
            "with a control character": b"a\x1bb", "that is not ASCII": "é".encode(),
        }.items()
    ),
    Case(
        number=59,
        name="two keys",
        send=lambda door: door.client.post(
            "/v1/models",
            json={"name": "never", "base_model": "tiny"},
            headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
        ),
        code="invalid_idempotency_key",
    ),
    Case(
        number=64,
        name="expected parent is not the head",
        send=lambda door: door.client.post(
            "/v1/tasks",
            data={"model": "desk", "name": "late", "expected_parent": door.resolve("desk@0")},
            files={"file": ("a.jsonl", labelled(20, start=1))},
        ),
        code="parent_conflict",
        headers={"x-should-retry": "false"},
    ),
    *(
        Case(number=65, name=f"stale tag on {method} {path}", send=tagged(method, path, stale), code="precondition_failed")
        for method, path, stale in (
            ("PUT", "/v1/models/desk/aliases/latest", "desk@0"),
            ("POST", "/v1/models/desk/rollback", "desk@0"),
            ("DELETE", "/v1/models/desk/aliases/stable", "desk@1"),
        )
    ),
    Case(
        number=65,
        name="stale version expected in the body",
        send=lambda door: door.client.put(
            "/v1/models/desk/aliases/latest", json={"version": "1", "expected_version": door.resolve("desk@0")}
        ),
        code="precondition_failed",
    ),
    Case(
        number=65,
        name="a tag that is none",
        send=lambda door: [
            door.client.put("/v1/models/desk/aliases/latest", json={"version": "1"}, headers={"If-Match": tag})
            for tag in ("x", '"', "''", '"a', 'W/"a')
        ],
        code="malformed_request",
    ),
]  # fmt: skip


@parametrised(CASES)
def test_a_bad_precondition_or_key_is_refused_and_leaves_nothing(desk: Door, case: Case) -> None:
    refuse(desk, case)


def test_none_of_them_leaves_anything_on_postgresql(desk_on_postgresql: Door, subtests: pytest.Subtests) -> None:
    for case in CASES:
        with subtests.test(str(case)):
            refuse(desk_on_postgresql, case)


@pytest.fixture(params=["desk", "desk_on_postgresql"])
def either(request: pytest.FixtureRequest) -> Door:
    door: Door = request.getfixturevalue(request.param)
    return door


@covers(58)
def test_without_a_key_a_task_is_accepted_and_not_protected(either: Door) -> None:
    name = new_name()
    assert post(either, None, name=name).status_code == 202
    require_problem(post(either, None, name=name), "name_taken")


@covers(60)
def test_the_same_again_is_answered_by_the_same_bytes(either: Door) -> None:
    name, key = new_name(), new_name()
    first = post(either, key, name=name)
    before = either.contents()
    again = post(either, key, name=name)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert either.contents() == before


@covers(61, 63)
def test_a_key_belongs_to_one_request(either: Door) -> None:
    name, key = new_name(), f"{CANARY}-{new_name()}"
    post(either, key, name=name).raise_for_status()
    others = {
        "another file": lambda door: post(door, key, name=name, start=500),
        "another field": lambda door: post(door, key),
        "another route": lambda door: door.client.post(
            "/v1/models", json={"name": "never", "base_model": "tiny"}, headers={"Idempotency-Key": key}
        ),
        "another job": lambda door: door.client.post("/v1/jobs/job_0/cancel", headers={"Idempotency-Key": key}),
    }
    for what, send in others.items():
        refuse(either, Case(number=61, name=what, send=send, code="idempotency_key_reused"))


@covers(62)
def test_the_same_key_in_flight_twice_makes_one_job(either: Door) -> None:
    name, key, gate = new_name(), new_name(), threading.Barrier(4)
    before = job_count(either)

    def send(_: int) -> Any:
        gate.wait()
        return post(either, key, name=name)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert job_count(either) == before + 1


@covers(64)
def test_a_conflict_names_the_current_head(either: Door) -> None:
    answer = either.client.post(
        "/v1/tasks",
        data={"model": "desk", "name": "late", "expected_parent": either.resolve("desk@0")},
        files={"file": ("a.jsonl", labelled(20, start=1))},
    )
    assert head_of(either, "desk") in require_problem(answer, "parent_conflict")["detail"]
