"""`GET /v1/events`: who changed what, for the project's own operator only."""

from typing import Any

import pytest
import stage
from doors import Door
from tenants import Tenant, furnish, line_up, tenant

from core.domain.access import Scope
from core.domain.job_folder import CheckpointEvent, PhaseEvent, ProgressEvent
from core.domain.jobs import Phase
from core.services import claims


@pytest.fixture
def admin(door: Door) -> Tenant:
    return tenant(door, "birds")


def events(who: Tenant, **filters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = who.ok("GET", "/v1/events", params={"limit": 100, **filters})["data"]
    return rows


def test_a_change_says_who_when_what_and_from_where_to_where(admin: Tenant) -> None:
    things = line_up(admin, furnish(admin, "linnet"))
    admin.ok("POST", f"/v1/jobs/{things['waiting_job']}/cancel")
    admin.ok("POST", "/v1/models/linnet/rollback", json={"reason": "a bad day"})
    moved, cancelled = events(admin)[:2]
    assert (cancelled["kind"], cancelled["subject_id"]) == ("state", things["waiting_job"])
    assert (cancelled["from"], cancelled["to"], cancelled["actor"]) == ("queued", "cancelled", admin.key_id)
    assert (moved["kind"], moved["subject_id"], moved["actor"]) == ("alias_moved", things["model"], admin.key_id)
    assert (moved["from"], moved["to"] is not None) == (things["version"], True)
    assert moved["data"]["reason"] == "a bad day"
    assert moved["at"] >= cancelled["at"]
    assert moved["id"] > cancelled["id"]


def test_the_list_is_paged_both_ways_and_ends(admin: Tenant) -> None:
    furnish(admin, "linnet")
    newest = [event["id"] for event in events(admin)]
    paged: list[str] = []
    page = admin.ok("GET", "/v1/events", params={"limit": 3})
    while True:
        paged += [event["id"] for event in page["data"]]
        if not page["has_more"]:
            break
        page = admin.ok("GET", "/v1/events", params={"limit": 3, "after": page["last_id"]})
    assert paged == newest == sorted(newest, reverse=True)
    assert [event["id"] for event in events(admin, order="asc")] == newest[::-1]


def test_it_is_filtered_by_subject_and_by_actor(admin: Tenant) -> None:
    things = furnish(admin, "linnet")
    other = admin.ok("POST", "/v1/keys", json={"name": "other", "scopes": ["train"]})
    admin.call("DELETE", "/v1/models/linnet", headers={"Authorization": f"Bearer {other['key']}"})
    of_model = events(admin, subject=things["model"])
    assert {event["subject_id"] for event in of_model} == {things["model"]}
    assert [event["kind"] for event in of_model] == ["deleted", *["alias_moved"] * 3, "created"]
    assert [(event["kind"], event["data"]) for event in events(admin, actor=other["id"])] == [
        ("deleted", {"name": "linnet"})
    ]
    assert {event["kind"] for event in events(admin, subject=other["id"])} == {"created"}


def test_what_a_trainer_reports_is_no_change(door: Door, admin: Tenant) -> None:
    job = line_up(admin, furnish(admin, "linnet"))["waiting_job"]
    reported = [
        PhaseEvent(phase=Phase.TRAINING),
        ProgressEvent(step=1, total_steps=2),
        CheckpointEvent(step=1),
    ]
    with door.registry.write() as work:
        held = stage.claim(work)
        claims.record(work, job_id=held.id, fence=stage.fence_of(held), events=reported)
    assert held.id == job
    told = admin.ok("GET", f"/v1/jobs/{job}/events")["data"]
    assert {"phase", "progress", "checkpoint"} < {event["kind"] for event in told}
    assert [event["to"] for event in events(admin, subject=job)] == ["running", "queued"]


def test_it_is_for_admins_and_about_their_own_project(door: Door, admin: Tenant) -> None:
    things = furnish(admin, "linnet")
    other = tenant(door, "fish")
    assert {event["subject_id"] for event in events(other)} == {other.project_id, other.key_id}
    assert events(other, subject=things["model"]) == events(other, subject="mdl_nothing") == []
    assert events(other, actor=admin.key_id) == []
    reader = tenant(door, "reader", scopes=[Scope.READ, Scope.TRAIN, Scope.GENERATE])
    refused = reader.call("GET", "/v1/events")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("query", [{"subject": "a b"}, {"subject": "x" * 65}, {"actor": "\0"}, {"after": "nothing"}])
def test_a_filter_that_names_nothing_possible_is_refused(admin: Tenant, query: dict[str, str]) -> None:
    assert admin.call("GET", "/v1/events", params=query).status_code == 422
