"""The calls of the control plane, from a base model to the score matrix."""

import json
import shlex
from typing import Any

import pytest
import stage
from doors import Door, labelled, places, prompted

from core.services import jobs


def ok(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def published(desk: Door, name: str = "codes") -> dict[str, Any]:
    """Post a task of prompts or labels, let its job succeed, and return the job."""
    posted = ok(desk.post_task(fields={"name": name}, file=labelled(20, start=100 * len(name))), 202)
    with desk.registry.write() as work:
        job = stage.claim(work)
        scores = [stage.result(posted["task_id"], 0.9), stage.result(posted["task_id"], 0.1, subject="base")]
        stage.publish(work, job, scores)
    return ok(desk.client.get(f"/v1/jobs/{posted['id']}"))


def test_a_base_model_is_added_and_listed(door: Door) -> None:
    body = {"name": "other", "source": "folder:/models/other"}
    added = ok(door.client.post("/v1/base-models", json=body), 201)
    assert (added["state"], added["object"]) == ("pending", "base_model")
    assert len(door.wakes.job_ids) == 1
    names = [row["name"] for row in ok(door.client.get("/v1/base-models"))["data"]]
    assert sorted(names) == ["other", "tiny"]
    assert ok(door.client.get("/v1/base-models/tiny"))["facts"]["family"] == "causal"
    assert door.client.get("/v1/base-models/nobody").json()["code"] == "base_model_not_found"


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///x", "http://169.254.169.254/", "hub:org/../x@1", "wheel:"])
def test_a_source_of_another_kind_is_refused(door: Door, source: str) -> None:
    answer = door.client.post("/v1/base-models", json={"name": "other", "source": source})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source")


def test_a_model_is_created_with_its_base_as_latest(door: Door) -> None:
    made = ok(door.client.post("/v1/models", json={"name": "desk", "base_model": "tiny", "method": "jumplora"}), 201)
    assert made["aliases"] == {"latest": "desk@0", "stable": "desk@0"}
    assert made["base_model"] == "tiny"
    assert {"id", "object", "created", "owned_by"} <= set(made)
    assert ok(door.client.get("/v1/models/desk")) == made
    assert ok(door.client.get(f"/v1/models/{made['id']}")) == made
    listed = ok(door.client.get("/v1/models"))
    assert (listed["object"], listed["data"], listed["has_more"]) == ("list", [made], False)
    assert listed["last_id"] == made["id"]


def test_a_method_that_keeps_rows_needs_a_model_that_allows_it(desk: Door) -> None:
    refused = desk.post_task(fields={"spec": json.dumps({"method": "replay"})}, file=labelled(20))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused.json()["errors"][0]["loc"] == ["spec", "method"]
    body = {"name": "keeper", "base_model": "tiny", "policy": {"store_rows": True}}
    assert ok(desk.client.post("/v1/models", json=body), 201)["policy"]["store_rows"] is True
    fields = {"model": "keeper", "spec": json.dumps({"method": "replay", "memories": {"reservoir": {"capacity": 9}}})}
    spec = ok(desk.post_task(fields=fields, file=labelled(20)), 202)["effective_spec"]
    assert (spec["memories"], spec["composition"]) == ({"reservoir": {"capacity": 9}}, "merge_sequential")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "desk", "base_model": "tiny"}, 409, "name_taken"),
        ({"name": "other", "base_model": "nobody"}, 422, "unknown_base_model"),
        ({"name": "../x", "base_model": "tiny"}, 422, "invalid_name"),
        ({"name": "Desk", "base_model": "tiny"}, 422, "invalid_name"),
        ({"name": "caf\u00e9", "base_model": "tiny"}, 422, "invalid_name"),
        ({"name": "x" * 300, "base_model": "tiny"}, 422, "invalid_request"),
        ({"name": "other", "base_model": "tiny", "method": "magic"}, 422, "invalid_method"),
        ({"name": "other", "base_model": "tiny", "method": {"training": {"epochs": 0}}}, 422, "invalid_request"),
        ({"name": "other"}, 422, "invalid_request"),
    ],
)
def test_a_model_that_cannot_be_is_refused(desk: Door, body: dict[str, Any], status: int, code: str) -> None:
    before = desk.contents()
    answer = desk.client.post("/v1/models", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 409:
        assert answer.headers["x-should-retry"] == "false"
    assert desk.contents() == before


def test_a_deleted_model_is_gone(desk: Door) -> None:
    assert ok(desk.client.delete("/v1/models/desk"))["deleted"] is True
    assert desk.client.get("/v1/models/desk").json()["code"] == "model_not_found"


def test_a_dataset_is_uploaded_once_and_shows_what_is_learned(door: Door) -> None:
    first = door.client.post("/v1/datasets", files={"file": ("a.jsonl", labelled(20))})
    made = ok(first, 201)
    assert first.headers["location"] == f"/v1/datasets/{made['id']}"
    assert (made["format"], made["n_rows"], made["labels"]) == ("text_label", 20, ["basalt", "ember"])
    again = ok(door.client.post("/v1/datasets", files={"file": ("b.jsonl", labelled(20))}), 201)
    assert again["id"] == made["id"]
    assert ok(door.client.get(f"/v1/datasets/{made['id']}")) == made
    report = ok(door.client.get(f"/v1/datasets/{made['id']}/report"))["report"]
    assert report["sha256"] == made["sha256"]
    query = {"question": "Which?", "options": ["ember", "basalt"], "limit": 1}
    (row,) = ok(door.client.get(f"/v1/datasets/{made['id']}/preview", params=query))["data"]
    assert row["spans"] == [
        {"role": "prompt", "masked": True, "text": "Which?\nOptions: ember, basalt\nnote 0\nAnswer:"},
        {"role": "target", "masked": False, "text": " basalt"},
    ]


def test_a_deleted_dataset_takes_its_file_along(door: Door) -> None:
    before = door.contents()[1]
    made = ok(door.client.post("/v1/datasets", files={"file": ("a.jsonl", prompted(3))}), 201)
    assert door.contents()[1] != before
    ok(door.client.delete(f"/v1/datasets/{made['id']}"))
    assert door.contents()[1] == before
    assert door.client.get(f"/v1/datasets/{made['id']}").json()["code"] == "dataset_not_found"


def test_a_dataset_in_use_stays(desk: Door) -> None:
    posted = ok(desk.post_task(file=labelled(20)), 202)
    dataset = ok(desk.client.get(f"/v1/tasks/{posted['task_id']}"))["dataset_id"]
    assert desk.client.delete(f"/v1/datasets/{dataset}").json()["code"] == "dataset_in_use"


def test_a_task_is_queued_and_answered_with_its_job(desk: Door) -> None:
    spec = {"training": {"epochs": 2}, "data": {"question": "Which code?"}}
    answer = desk.post_task(fields={"spec": json.dumps(spec)}, file=labelled(20), eval_file=labelled(5, start=50))
    job = ok(answer, 202)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["queue_position"], job["model"], job["task"]) == ("queued", 1, "desk", "codes")
    assert job["effective_spec"]["training"]["epochs"] == 2
    assert job["try_it"] is None
    assert desk.wakes.job_ids == [job["id"]]
    assert ok(desk.client.get(f"/v1/jobs/{job['id']}")) == job
    task = ok(desk.client.get(f"/v1/tasks/{job['task_id']}"))
    assert task["template"]["question"] == "Which code?"
    assert task["eval_dataset_id"]
    assert ok(desk.client.get("/v1/tasks?model=desk"))["data"] == [task]
    assert list(desk.settings.uploads_dir.iterdir()) == []


def test_a_task_may_be_posted_on_a_dataset_that_is_here(desk: Door) -> None:
    dataset = ok(desk.client.post("/v1/datasets", files={"file": ("a", prompted(9))}), 201)["id"]
    body = {"model": "desk", "name": "codes", "dataset_id": dataset, "spec": {"training": {"max_steps": 3}}}
    job = ok(desk.client.post("/v1/tasks", json=body), 202)
    assert job["effective_spec"]["training"]["max_steps"] == 3
    taken = desk.client.post("/v1/tasks", json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    leak = desk.client.post("/v1/tasks", json={**body, "name": "b", "eval_dataset_id": dataset})
    assert (leak.status_code, leak.json()["code"]) == (422, "leak")
    assert places(leak)[0] == ["eval_dataset_id"]
    form = desk.post_task(fields={"name": "c", "dataset_id": dataset}, eval_file=prompted(3))
    assert form.json()["code"] == "leak"


def test_parts_may_come_in_any_order(desk: Door) -> None:
    files = {"file": ("f", prompted(9)), "name": (None, "late"), "spec": (None, "{}"), "model": (None, "desk")}
    assert ok(desk.client.post("/v1/tasks", files=files), 202)["task"] == "late"


def test_jobs_are_listed_by_model_and_state_page_by_page(desk: Door) -> None:
    ids = [ok(desk.post_task(fields={"name": f"t{n}"}, file=labelled(20, start=n)), 202)["id"] for n in range(3)]
    queued = ok(desk.client.get("/v1/jobs?model=desk&state=queued&order=asc&limit=2"))
    assert [row["id"] for row in queued["data"]] == ids[:2]
    assert queued["has_more"] is True
    rest = ok(desk.client.get(f"/v1/jobs?model=desk&state=queued&order=asc&after={queued['last_id']}"))
    assert [row["id"] for row in rest["data"]] == ids[2:]
    assert ok(desk.client.get("/v1/jobs?state=running"))["data"] == []
    assert desk.client.get("/v1/jobs?state=sleeping").status_code == 422
    assert desk.client.get("/v1/jobs?model=nobody").status_code == 404


def test_a_job_is_cancelled_and_retried(desk: Door) -> None:
    job = ok(desk.post_task(file=labelled(20)), 202)
    cancelled = ok(desk.client.post(f"/v1/jobs/{job['id']}/cancel"), 202)
    assert cancelled["state"] == "cancelled"
    assert ok(desk.client.post(f"/v1/jobs/{job['id']}/cancel"), 202) == cancelled
    again = ok(desk.client.post(f"/v1/jobs/{job['id']}/retry"), 202)
    assert (again["retry_of"], again["state"]) == (job["id"], "queued")
    refused = desk.client.post(f"/v1/jobs/{again['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert desk.client.get("/v1/jobs/job_0").json()["code"] == "job_not_found"


def test_a_running_job_tells_its_progress_curves_and_log(desk: Door) -> None:
    posted = ok(desk.post_task(file=labelled(20)), 202)
    with desk.registry.write() as work:
        job = stage.claim(work)
    with desk.registry.write() as work:
        steps = [stage_event(step, loss=2.0 - step / 10, sparsity=0.5) for step in range(1, 11)]
        jobs.record(work, job_id=job.id, fence=stage.fence_of(job), events=steps)
    shown = ok(desk.client.get(f"/v1/jobs/{posted['id']}"))
    assert shown["progress"] == {"step": 10, "total_steps": 40, "percent": 25.0, "eta_seconds": 3.0}
    assert (shown["state"], shown["queue_position"], shown["attempt"]) == ("running", None, 1)
    curves = ok(desk.client.get(f"/v1/jobs/{posted['id']}/metrics?series=loss&max_points=5"))["series"]
    assert set(curves) == {"loss"}
    assert len(curves["loss"]) <= 5
    assert curves["loss"][-1] == {"step": 10, "value": 1.0}
    assert ok(desk.client.get(f"/v1/jobs/{posted['id']}/logs"))["text"] == ""
    log = desk.settings.jobs_dir / posted["id"] / str(job.fence) / "trainer.log"
    log.parent.mkdir(parents=True)
    log.write_text("step 1\nstep 2\n", encoding="utf-8")
    tail = ok(desk.client.get(f"/v1/jobs/{posted['id']}/logs?max_bytes=7"))
    assert (tail["text"], tail["truncated"]) == ("step 2\n", True)


def stage_event(step: int, **values: float) -> Any:
    from core.domain.job_folder import ProgressEvent

    return ProgressEvent(step=step, total_steps=40, eta_seconds=3.0, values=values)


def test_a_job_that_succeeded_says_how_to_try_it(desk: Door) -> None:
    job = published(desk)
    assert (job["state"], job["result_version"], job["progress"]["percent"]) == ("succeeded", "desk@1", 100.0)
    words = shlex.split(job["try_it"])
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8321/generate"]
    body = json.loads(words[-1])
    assert body == {"model": "desk@1", "task": "codes", "input": {"text": "note 500"}}
    desk.echo.version_id = job["result_version_id"]
    answer = ok(desk.client.post("/generate", json=body))
    assert answer["version"] == "desk@1"


def test_a_job_that_failed_says_why(desk: Door) -> None:
    posted = ok(desk.post_task(file=labelled(20)), 202)
    with desk.registry.write() as work:
        job = stage.claim(work)
        jobs.fail(work, job_id=job.id, fence=stage.fence_of(job), code="loss_diverged", detail="the loss became NaN")
    shown = ok(desk.client.get(f"/v1/jobs/{posted['id']}"))
    assert shown["error"] == {"code": "loss_diverged", "detail": "the loss became NaN"}


def test_versions_aliases_and_scores_follow_a_job(desk: Door) -> None:
    job = published(desk)
    version = ok(desk.client.get("/v1/versions/desk@1"))
    assert version["id"] == job["result_version_id"]
    assert (version["name"], version["aliases"], version["chain"]) == ("desk@1", ["latest"], [version["id"]])
    assert ok(desk.client.get("/v1/versions/desk:latest")) == version
    assert ok(desk.client.get(f"/v1/versions/{version['id']}")) == version
    assert [row["number"] for row in ok(desk.client.get("/v1/models/desk/versions?order=asc"))["data"]] == [0, 1]
    aliases = ok(desk.client.get("/v1/models/desk/aliases"))["data"]
    assert {row["name"]: row["version"] for row in aliases} == {"latest": "desk@1", "stable": "desk@0"}
    history = ok(desk.client.get("/v1/models/desk/aliases/latest/history"))["data"]
    assert history[-1]["to_version_id"] == version["id"]
    lineage = ok(desk.client.get("/v1/models/desk/lineage"))["data"]
    assert [entry["task"] for entry in lineage] == [None, "codes"]
    matrix = ok(desk.client.get("/v1/models/desk/evaluations"))
    assert (matrix["tasks"], matrix["scores"], matrix["base_scores"]) == (["codes"], [[0.9]], [0.1])
    assert matrix["oa"] == 0.9
    assert desk.client.get("/v1/versions/desk@7").json()["code"] == "version_not_found"
    assert desk.client.get("/v1/versions/desk:none").json()["code"] == "alias_not_found"
