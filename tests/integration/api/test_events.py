"""A job's events, as a list and as a stream that can be taken up again."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import stage
from doors import Door, labelled

from core.services import jobs


def frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    frame: dict[str, str] = {}
    for line in lines:
        if line:
            key, _, value = line.partition(": ")
            frame[key] = value
        elif frame:
            yield frame
            frame = {}


def stream(desk: Door, job_id: str, **headers: str) -> list[dict[str, Any]]:
    asked = {"Accept": "text/event-stream", **headers}
    with desk.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [frame for frame in frames(answer.iter_lines()) if "data" in frame]


def cancelled_job(desk: Door) -> str:
    job_id: str = desk.post_task(file=labelled(20)).json()["id"]
    desk.client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    return job_id


def test_events_are_listed_after_a_number(desk: Door) -> None:
    job_id = cancelled_job(desk)
    listed = desk.client.get(f"/v1/jobs/{job_id}/events").json()
    assert [row["n"] for row in listed["data"]] == list(range(1, len(listed["data"]) + 1))
    assert listed["data"][-1]["to_state"] == "cancelled"
    assert listed["data"][0]["at"].endswith("Z")
    rest = desk.client.get(f"/v1/jobs/{job_id}/events?after=1").json()
    assert rest["data"] == listed["data"][1:]
    assert rest["last_id"] == listed["data"][-1]["n"]


def test_the_stream_ends_with_the_job_and_says_the_same(desk: Door) -> None:
    job_id = cancelled_job(desk)
    listed = desk.client.get(f"/v1/jobs/{job_id}/events").json()["data"]
    streamed = stream(desk, job_id)
    assert [json.loads(frame["data"]) for frame in streamed] == listed
    assert [frame["id"] for frame in streamed] == [str(row["n"]) for row in listed]


def test_a_stream_is_taken_up_after_the_last_event_that_came(desk: Door) -> None:
    job_id = cancelled_job(desk)
    everything = stream(desk, job_id)
    assert stream(desk, job_id, **{"Last-Event-ID": everything[0]["id"]}) == everything[1:]


def test_events_come_while_the_stream_is_open(desk: Door) -> None:
    job_id = desk.post_task(file=labelled(20)).json()["id"]

    def work_on() -> None:
        with desk.registry.write() as work:
            job = stage.claim(work)
        with desk.registry.write() as work:
            jobs.fail(work, job_id=job.id, fence=stage.fence_of(job), code="loss_diverged", detail="NaN")

    later = threading.Timer(0.2, work_on)
    later.start()
    streamed = [json.loads(frame["data"]) for frame in stream(desk, job_id)]
    later.join()
    assert [row["to_state"] for row in streamed if row["to_state"]] == ["queued", "running", "failed"]


def test_a_silent_stream_is_kept_alive(desk: Door) -> None:
    from dataclasses import replace

    job_id = desk.post_task(file=labelled(20)).json()["id"]
    state = desk.client.app.state  # type: ignore[attr-defined]
    state.context = replace(state.context, heartbeat_seconds=0.05)
    stop = threading.Timer(1.5, lambda: desk.client.post(f"/v1/jobs/{job_id}/cancel"))
    stop.start()
    with desk.client.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"}) as answer:
        lines = list(answer.iter_lines())
    stop.join()
    assert lines.count(": ping") >= 2


def test_the_stream_of_a_job_that_is_not_there_is_404(desk: Door) -> None:
    answer = desk.client.get("/v1/jobs/job_0/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def test_a_last_event_id_that_is_no_number_is_422(desk: Door) -> None:
    answer = desk.client.get("/v1/jobs/job_0/events", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 422
