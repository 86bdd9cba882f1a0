"""Aliases, rollback, deletion and pausing over HTTP."""

import pytest
import stage
from doors import Door, labelled


@pytest.fixture
def learned(desk: Door) -> Door:
    """A model of two versions."""
    stage.learn(desk.registry, "a")
    stage.learn(desk.registry, "b")
    return desk


def test_an_alias_is_promoted_and_its_history_says_why(learned: Door) -> None:
    body = {"version": "desk@1", "reason": "the best so far"}
    moved = learned.client.put("/v1/models/desk/aliases/stable", json=body)
    assert moved.status_code == 200, moved.text
    assert moved.json()["version"] == "desk@1"
    assert moved.headers["etag"] == f'"{moved.json()["version_id"]}"'
    last = learned.client.get("/v1/models/desk/aliases/stable/history").json()["data"][-1]
    assert last["reason"] == "the best so far"
    assert last["actor"]
    assert learned.client.get("/v1/models/desk/aliases/stable").json() == moved.json()


def test_a_stale_etag_is_refused(learned: Door) -> None:
    seen = learned.client.get("/v1/models/desk/aliases/stable").headers["etag"]
    path, body = "/v1/models/desk/aliases/stable", {"version": "1"}
    assert learned.client.put(path, json=body, headers={"If-Match": seen}).status_code == 200
    stale = learned.client.put(path, json={"version": "2"}, headers={"If-Match": seen})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    also = learned.client.put(path, json={"version": "2", "expected_version": seen.strip('"')})
    assert also.status_code == 412
    assert learned.client.put(path, json=body, headers={"If-Match": "no quotes"}).status_code == 400
    assert learned.client.put(path, json=body, headers={"If-Match": "*"}).status_code == 200


def test_a_rollback_is_one_call(learned: Door) -> None:
    back = learned.client.post("/v1/models/desk/rollback", json={"reason": "a bad day"})
    assert back.status_code == 200, back.text
    assert (back.json()["name"], back.json()["version"]) == ("latest", "desk@1")
    assert learned.client.post("/v1/models/desk/rollback", json={"version": "9"}).status_code == 404
    assert learned.client.get("/v1/models/desk").json()["aliases"]["latest"] == "desk@1"


def test_an_alias_is_deleted_but_never_latest(learned: Door) -> None:
    assert learned.client.delete("/v1/models/desk/aliases/stable").json()["deleted"] is True
    assert learned.client.get("/v1/models/desk/aliases/stable").status_code == 404
    kept = learned.client.delete("/v1/models/desk/aliases/latest")
    assert (kept.status_code, kept.json()["code"]) == (409, "alias_required")


def test_a_version_in_use_is_not_deleted(learned: Door) -> None:
    refused = learned.client.delete("/v1/versions/desk@2")
    assert (refused.status_code, refused.json()["code"]) == (409, "version_in_use")
    learned.client.post("/v1/models/desk/rollback", json={})
    assert learned.client.delete("/v1/versions/desk@2").status_code == 200
    assert learned.client.get("/v1/versions/desk@2").json()["state"] == "deleted"
    promoted = learned.client.put("/v1/models/desk/aliases/stable", json={"version": "desk@2"})
    assert (promoted.status_code, promoted.json()["code"]) == (409, "wrong_state")


def test_a_job_is_paused_and_resumed(desk: Door) -> None:
    job = desk.post_task(file=labelled(20)).json()
    paused = desk.client.post(f"/v1/jobs/{job['id']}/pause")
    assert (paused.status_code, paused.json()["state"]) == (202, "paused")
    resumed = desk.client.post(f"/v1/jobs/{job['id']}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")
    stage.claimed(desk.registry)
    asked = desk.client.post(f"/v1/jobs/{job['id']}/pause").json()
    assert (asked["state"], asked["pause_requested"]) == ("running", True)
    assert desk.client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    assert desk.client.post("/v1/jobs/job_0/pause").status_code == 404
