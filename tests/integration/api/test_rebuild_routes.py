"""Leaving tasks out over HTTP: what is asked, answered and refused."""

from typing import Any

import pytest
import stage
from doors import Door, places
from stage import PROJECT

from core.services import rebuild_plans, tasks, versions

PATH = "/v1/models/desk/versions"


BAD: list[tuple[dict[str, Any], int, list[Any]]] = [
    ({}, 422, ["leave_out"]),
    ({"leave_out": []}, 422, ["leave_out"]),
    ({"leave_out": "a"}, 422, ["leave_out"]),
    ({"leave_out": ["a", 1]}, 422, ["leave_out", 1]),
    ({"leave_out": ["a"], "keep": ["b"]}, 422, ["keep"]),
    ({"leave_out": ["a"], "promote": 1}, 422, ["promote"]),
    ({"leave_out": ["a"], "timeout_seconds": 0}, 422, ["timeout_seconds"]),
    ({"leave_out": ["a"], "expected_parent": "desk@1"}, 422, ["expected_parent"]),
    ({"leave_out": ["a", "a"]}, 422, ["leave_out", 1]),
    ({"leave_out": ["a", "b"]}, 422, ["leave_out"]),
    ({"leave_out": ["nothing"]}, 404, ["leave_out", 0]),
    ({"leave_out": ["b"], "version": "1"}, 422, ["leave_out", 0]),
]


@pytest.fixture
def learned(desk: Door) -> Door:
    stage.learn(desk.registry, "a", scores={"a": 0.5})
    stage.learn(desk.registry, "b", scores={"a": 0.5, "b": 0.75})
    return desk


def test_what_is_left_out_is_queued_built_and_accounted_for(learned: Door) -> None:
    asked = learned.client.post(PATH, json={"leave_out": ["a"]})
    assert asked.status_code == 202, asked.text
    job = asked.json()
    assert asked.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["task"], job["queue_position"]) == ("rebuild", "queued", None, 1)
    assert [task["task"] for task in job["rebuild"]["left_out"]] == ["a"]
    assert job["rebuild"]["comparison"] == []
    assert job["id"] in learned.wakes.job_ids

    publish(learned, {"a": 0.0, "b": 0.5})

    done = learned.client.get(asked.headers["location"]).json()
    assert (done["state"], done["result_version"]) == ("succeeded", "desk@3")
    version = learned.client.get("/v1/versions/desk@3").json()
    assert version["rebuild"] == done["rebuild"]
    assert version["rebuild"]["learned_on_top"] == ["b"]
    assert [(line["task"], line["left_out"], line["difference"]) for line in version["rebuild"]["comparison"]] == [
        ("a", True, -0.5),
        ("b", False, -0.25),
    ]
    assert learned.client.get("/v1/versions/desk:latest").json()["id"] == version["id"]
    assert learned.client.get("/v1/versions/desk@2").json()["rebuild"] is None


def publish(door: Door, scores: dict[str, float]) -> None:
    with door.registry.write() as work:
        ids = {task.name: task.id for task in tasks.page(work, project_id=PROJECT, model="desk").data}
        job = stage.claim(work)
        plan = rebuild_plans.build(work, job=job)
        chain = tuple(link.manifest_sha256 for link in plan.links if link.version_id not in plan.left_out)
        manifest = stage.bare_manifest(plan.provenance, base_digest=plan.base_digest, chain=chain)
        events = [stage.result(ids[name], value) for name, value in scores.items()]
        key = stage.artefact_of(job)
        held = {"job_id": job.id, "fence": stage.fence_of(job)}
        versions.publish(work, **held, manifest=manifest, scores=events, artefact=key)


def test_bad_input_is_refused_with_its_place_and_leaves_no_trace(learned: Door, subtests: pytest.Subtests) -> None:
    before = learned.contents()
    for body, status, loc in BAD:
        with subtests.test(str(body)):
            refused = learned.client.post(PATH, json=body)
            assert refused.status_code == status, refused.text
            assert places(refused)[0] == loc
            assert learned.contents() == before


def test_another_head_than_expected_or_another_models_version_is_refused(learned: Door) -> None:
    first, other = learned.resolve("desk@1"), stage.new_model(learned.registry, "other")
    moved = learned.client.post(PATH, json={"leave_out": ["a"], "expected_parent": first})
    assert (moved.status_code, moved.json()["code"]) == (409, "parent_conflict")
    theirs = learned.client.post(PATH, json={"leave_out": ["a"], "version": f"{other.name}@0"})
    assert (theirs.status_code, places(theirs)) == (422, [["version"]])
    nowhere = learned.client.post(PATH, json={"leave_out": ["a"], "version": "desk@9"})
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "version_not_found")


def test_the_same_request_again_makes_one_job(learned: Door) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (learned.client.post(PATH, json={"leave_out": ["a"]}, headers=headers) for _ in range(2))
    assert (second.headers["idempotency-replayed"], second.content) == ("true", first.content)
    assert len(learned.client.get("/v1/jobs?state=queued").json()["data"]) == 1


def test_a_version_is_left_out_of_and_latest_stays(learned: Door) -> None:
    body = {"leave_out": ["a"], "version": "desk:latest", "promote": False, "timeout_seconds": 600}
    assert learned.client.post(PATH, json=body).status_code == 202
    publish(learned, {})
    assert learned.client.get("/v1/models/desk").json()["aliases"]["latest"] == "desk@2"
    assert learned.client.get("/v1/versions/desk@3").json()["parent_id"] == learned.resolve("desk@2")
