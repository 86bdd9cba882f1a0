"""What a task will take, asked without posting it."""

import json
from typing import Any

import pytest
import stage
from doors import Door, labelled
from sqlalchemy import func, select, update

from core.registry.access_tables import API_KEY
from core.registry.tables import JOB

FIGURES = ("tokens", "steps", "seconds", "peak_memory_bytes", "disk_bytes", "queue_wait_seconds")


def trace(door: Door) -> dict[str, Any]:
    """Return everything that a call could have left: counts of rows, and files."""
    with door.registry.read() as work:
        rows = {
            table.name: work.connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in API_KEY.metadata.sorted_tables
        }
    files = [str(path) for path in door.settings.data_dir.rglob("*") if path.is_file()]
    return {"rows": rows, "files": files, "wakes": list(door.wakes.job_ids)}


def estimate(door: Door, **fields: str) -> dict[str, Any]:
    files = {"file": ("rows.jsonl", labelled(40))}
    answer = door.client.post("/v1/tasks/estimate", data={"model": "desk", **fields}, files=files)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_dry_run_says_what_the_task_will_take_and_leaves_nothing(desk: Door) -> None:
    before = trace(desk)
    answer = desk.post_task(fields={"dry_run": "true"}, file=labelled(40))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["object"] == "estimate"
    assert all(body[name]["basis"] for name in FIGURES)
    assert all(body[name]["value"] > 0 for name in FIGURES if name != "queue_wait_seconds")
    assert body["effective_spec"]["method"]
    assert trace(desk) == before
    assert desk.post_task(file=labelled(40)).status_code == 202


def test_a_dry_run_on_a_dataset_leaves_nothing(desk: Door) -> None:
    data = desk.client.post("/v1/datasets", files={"file": ("rows.jsonl", labelled(40))}).json()
    before = trace(desk)
    body = {"model": "desk", "name": "codes", "dataset_id": data["id"], "dry_run": True}
    assert desk.client.post("/v1/tasks", json=body).json()["object"] == "estimate"
    assert trace(desk) == before


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "nobody"}, 404),
        ({"name": "Not A Name"}, 422),
        ({"spec": json.dumps({"method": "nothing"})}, 422),
        ({"expected_parent": "ver_0"}, 409),
        ({"dry_run": "perhaps"}, 422),
    ],
)
def test_a_dry_run_refuses_what_the_task_would_be_refused_for(desk: Door, fields: dict[str, str], status: int) -> None:
    before = trace(desk)
    answer = desk.post_task(fields={"dry_run": "true", **fields}, file=labelled(40))
    assert answer.status_code == status, answer.text
    assert trace(desk) == before


def test_a_dry_run_refuses_a_name_that_is_taken(desk: Door) -> None:
    desk.post_task(file=labelled(40))
    answer = desk.post_task(fields={"dry_run": "true"}, file=labelled(40))
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_an_estimate_needs_no_name_and_follows_the_settings(desk: Door) -> None:
    before = trace(desk)
    one = estimate(desk, spec=json.dumps({"training": {"max_steps": 10}}))
    two = estimate(desk, spec=json.dumps({"training": {"max_steps": 20}}))
    assert (one["steps"]["value"], two["steps"]["value"]) == (10, 20)
    assert two["tokens"]["value"] == pytest.approx(2 * one["tokens"]["value"])
    assert "rule of thumb" in one["seconds"]["basis"]
    assert trace(desk) == before


def test_past_jobs_say_how_long_the_next_will_take_and_wait(desk: Door) -> None:
    stage.learn(desk.registry, "a")
    with desk.registry.write() as work:
        times = {"finished_ms": JOB.c.started_ms + 90_000}
        work.connection.execute(update(JOB).where(JOB.c.kind == "train").values(**times))
    stage.submit(desk.registry, "b")
    body = estimate(desk)
    assert "measured on the last 1 jobs" in body["seconds"]["basis"]
    assert body["queue_wait_seconds"]["value"] == 90.0
    assert "deltas" in body["disk_bytes"]["basis"]
