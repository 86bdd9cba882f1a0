"""`Idempotency-Key`: what is sent again is answered again, and done once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stage
from doors import Door, labelled
from sqlalchemy import func, select, update
from tenants import tenant

from core.registry.access_tables import IDEMPOTENCY
from core.registry.tables import DATASET, JOB, MODEL
from core.services import idempotency

KEY = {"Idempotency-Key": "a-key"}


def count(door: Door, table: Any = JOB, **match: str) -> int:
    with door.registry.read() as work:
        query = (
            select(func.count()).select_from(table).where(*(table.c[name] == value for name, value in match.items()))
        )
        return int(work.connection.execute(query).scalar_one())


def post_file(door: Door, *, start: int = 1, key: dict[str, str] = KEY, name: str = "codes") -> Any:
    files = {"file": ("rows.jsonl", labelled(20, start=start))}
    return door.client.post("/v1/tasks", data={"model": "desk", "name": name}, files=files, headers=key)


def create_model(door: Door, name: str = "second", key: dict[str, str] = KEY) -> Any:
    return door.client.post("/v1/models", json={"name": name, "base_model": "tiny"}, headers=key)


def upload(door: Door) -> Any:
    return door.client.post("/v1/datasets", files={"file": ("rows.jsonl", labelled(20))}, headers=KEY)


def add_base(door: Door) -> Any:
    body = {"name": "more", "source": "folder:/models/more"}
    return door.client.post("/v1/base-models", json=body, headers=KEY)


@pytest.mark.parametrize("send", [post_file, create_model, upload, add_base])
def test_the_same_request_again_gets_the_same_bytes_and_changes_nothing(
    desk: Door, send: Callable[[Door], Any]
) -> None:
    first = send(desk)
    before = {table.name: count(desk, table) for table in (JOB, MODEL, DATASET)}
    again = send(desk)
    assert first.is_success, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert {table.name: count(desk, table) for table in (JOB, MODEL, DATASET)} == before


def test_without_a_key_nothing_is_remembered(desk: Door) -> None:
    assert post_file(desk, key={}).status_code == 202
    assert post_file(desk, key={}).json()["code"] == "name_taken"
    assert count(desk, IDEMPOTENCY) == 0


def test_a_key_belongs_to_one_content(desk: Door) -> None:
    post_file(desk)
    for other in (post_file(desk, start=500), post_file(desk, name="other")):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert count(desk, JOB, kind="train") == 1


def test_a_key_belongs_to_one_route(desk: Door) -> None:
    job_id = post_file(desk, key={}).json()["id"]
    assert desk.client.post(f"/v1/jobs/{job_id}/pause", headers=KEY).status_code == 202
    other = desk.client.post(f"/v1/jobs/{job_id}/resume", headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    again = desk.client.post(f"/v1/jobs/{job_id}/pause", headers=KEY)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "tab\there", "blank here"])
def test_a_key_that_is_none_is_refused(desk: Door, key: str) -> None:
    refused = create_model(desk, key={"Idempotency-Key": key})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_idempotency_key")


def test_the_longest_key_is_accepted(desk: Door) -> None:
    assert create_model(desk, key={"Idempotency-Key": "~" * 255}).status_code == 201


def test_what_was_refused_may_be_asked_again_under_its_key(desk: Door) -> None:
    assert create_model(desk, "desk").status_code == 409
    assert create_model(desk, "second").status_code == 201


def test_the_same_key_in_flight_makes_one_job(desk: Door) -> None:
    gate = threading.Barrier(6)

    def send(_: int) -> Any:
        gate.wait()
        return post_file(desk)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))

    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.content for answer in answers}) == 1
    assert count(desk, JOB, kind="train") == 1


# SQLite has one writer: nothing is in flight beside it.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_key_that_stays_in_flight_is_waited_for_and_then_refused(desk: Door) -> None:
    with desk.registry.write() as work:
        asked = idempotency.Keyed(project_id=stage.PROJECT, key="a-key", route="POST /x", request_sha256="0" * 64)

        def answer_late() -> idempotency.Answer:
            late = create_model(desk)
            assert (late.status_code, late.json()["code"]) == (409, "request_in_flight")
            return idempotency.Answer(status=200, body="{}", headers={})

        idempotency.once(work, asked, answer_late)
    assert count(desk, MODEL, name="second") == 0


def test_an_answer_that_never_arrived_is_given_when_asked_again(desk: Door) -> None:
    """The process dies after the commit, before it answers: what is sent again finds the stored answer."""
    first = post_file(desk)
    with desk.registry.write() as work:
        work.connection.execute(update(JOB).where(JOB.c.kind == "train").values(step=7))
    assert post_file(desk).content == first.content


def test_what_dies_before_its_commit_is_carried_out_when_sent_again(desk: Door) -> None:
    asked = idempotency.Keyed(project_id=stage.PROJECT, key="a-key", route="POST /v1/models", request_sha256="0" * 64)

    def die() -> None:
        with desk.registry.write() as work:
            idempotency.once(work, asked, lambda: idempotency.Answer(status=201, body="{}", headers={}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()
    assert create_model(desk).status_code == 201


def test_answers_are_forgotten_after_a_day(desk: Door) -> None:
    create_model(desk)
    with desk.registry.write() as work:
        assert idempotency.prune(work) == 0
        work.connection.execute(update(IDEMPOTENCY).values(created_ms=work.now_ms() - idempotency.KEPT_MS - 1))
        assert idempotency.prune(work) == 1
    assert create_model(desk).json()["code"] == "name_taken"


def test_the_keys_of_two_projects_do_not_meet(door: Door) -> None:
    made = []
    for name in ("home", "abroad"):
        caller = tenant(door, name)
        made.append(caller.ok("POST", "/v1/models", json={"name": name, "base_model": "tiny"}, headers=KEY)["id"])
    assert len(set(made)) == 2
