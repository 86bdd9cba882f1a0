"""Waiting for jobs and following their events."""

import itertools
import json
from typing import Any

import httpx
import pytest
from fake_service import FakeService, job, problem
from hypothesis import given
from hypothesis import strategies as st

from strata import Client
from strata.client import JobFailedError, ServiceUnreachableError, WaitTimeoutError
from strata.client.jobs import Patience
from strata.client.results import Job
from strata.client.sse import ServerEvent, decode

QUICK = Patience(poll_seconds=0.0)
AWAY = httpx.ConnectError("refused")


def stream(*events: dict[str, Any]) -> httpx.Response:
    body = "".join(f"id: {event['n']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return httpx.Response(200, content=f": hello\n\n{body}".encode())


def event(n: int, kind: str = "progress", **fields: Any) -> dict[str, Any]:
    return {"n": n, "kind": kind, **fields}


def test_waiting_ends_with_the_version(service: FakeService, client: Client) -> None:
    looks: list[Job] = []
    service.on("GET /v1/jobs/job_1", job(), job("running"), job("succeeded", result_version_id="ver_1"))
    done = client.jobs.wait("job_1", on_look=looks.append, patience=QUICK)
    assert done.result_version_id == "ver_1"
    assert [look.state for look in looks] == ["queued", "running", "succeeded"]


def test_a_failed_job_raises_with_its_code(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("failed", error={"code": "loss_diverged", "detail": "the loss is not finite"}))
    with pytest.raises(JobFailedError, match="the loss is not finite") as caught:
        client.jobs.wait("job_1", patience=QUICK)
    assert caught.value.code == "loss_diverged"
    assert "learning_rate" in (caught.value.next_step or "")


def test_a_cancelled_job_is_not_a_success(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("cancelled"))
    with pytest.raises(JobFailedError, match="cancelled"):
        client.jobs.wait("job_1", patience=QUICK)


def test_waiting_ends_with_its_time(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("running"))
    with pytest.raises(WaitTimeoutError):
        client.jobs.wait("job_1", patience=Patience(poll_seconds=0.0, timeout_seconds=0.05))


def test_waiting_outlives_a_service_that_restarts(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("running"), AWAY, problem(503, "unavailable", "soon"), job("succeeded"))
    assert client.jobs.wait("job_1", patience=QUICK).state == "succeeded"


def test_waiting_does_not_outlive_a_service_that_stays_away(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", AWAY)
    with pytest.raises(ServiceUnreachableError):
        client.jobs.wait("job_1", patience=Patience(poll_seconds=0.0, away_seconds=0.0))


def test_events_end_with_the_job(service: FakeService, client: Client) -> None:
    service.on(
        "GET /v1/jobs/job_1/events",
        stream(event(1, "state", to_state="running"), event(2), event(3, "state", to_state="succeeded"), event(4)),
    )
    assert [each.n for each in client.jobs.events("job_1")] == [1, 2, 3]


def test_a_broken_stream_is_taken_up_after_the_last_event_seen(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("running"))
    service.on(
        "GET /v1/jobs/job_1/events",
        stream(event(1), event(2)),
        AWAY,
        stream(event(3), event(4, "state", to_state="succeeded")),
    )
    assert [each.n for each in client.jobs.events("job_1")] == [1, 2, 3, 4]
    asked = [request.headers["last-event-id"] for request in service.requests if request.url.path.endswith("events")]
    assert asked == ["0", "2", "2"]


def test_a_job_that_is_over_has_no_more_events(service: FakeService, client: Client) -> None:
    service.on("GET /v1/jobs/job_1", job("succeeded"))
    service.on("GET /v1/jobs/job_1/events", stream(), {"object": "list", "data": [], "has_more": False})
    assert list(client.jobs.events("job_1", after=9)) == []


def test_metrics_know_their_latest_value(service: FakeService, client: Client) -> None:
    service.on(
        "GET /v1/jobs/job_1/metrics", {"series": {"loss": [{"step": 1, "value": 2.0}, {"step": 2, "value": 1.5}]}}
    )
    curves = client.jobs.metrics("job_1")
    assert (curves.latest("loss"), curves.latest("sparsity")) == (1.5, None)


BODY = 'id: 7\ndata: {"a": "\u2028é"}\n\n: beat\n\nevent: end\r\ndata:x\r\ndata: y\r\n\r\ndata: cut'.encode()


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    chunks = [BODY[start:end] for start, end in itertools.pairwise(edges)]
    assert list(decode(chunks)) == [
        ServerEvent(id="7", event="message", data='{"a": "\u2028é"}'),
        ServerEvent(id=None, event="end", data="x\ny"),
    ]
