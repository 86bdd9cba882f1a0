"""Quotas: what one project may hold and how often it may call; the others do not feel it."""

import threading
from typing import Any

import pytest
from doors import Door, labelled
from tenants import Tenant, furnish, tenant


@pytest.fixture
def home(door: Door) -> Tenant:
    return tenant(door, "home")


def too_much(answer: Any, code: str) -> int:
    assert (answer.status_code, answer.json()["code"]) == (429, code)
    return int(answer.headers["retry-after"])


def limit(tenant: Tenant, **quotas: int | None) -> dict[str, Any]:
    return tenant.ok("PATCH", f"/v1/projects/{tenant.project_id}", json=quotas)


def test_a_project_shows_its_quotas_and_what_it_uses(home: Tenant) -> None:
    furnish(home, "linnet")
    shown = limit(home, max_open_jobs=3, max_bytes=10**6)
    assert (shown["max_open_jobs"], shown["max_bytes"], shown["max_requests_per_minute"]) == (3, 10**6, None)
    assert shown["open_jobs"] == 0
    assert shown["bytes"] == len(labelled(20, start=6, labels=("linnet", "ember")))
    assert limit(home, max_bytes=None) == shown | {"max_bytes": None}
    assert home.ok("GET", "/v1/projects/own") == shown | {"max_bytes": None}
    for fault in ({"max_open_jobs": -1}, {"max_bytes": 2**60}, {"max_open_jobs": 1.5}, {"name": "x"}):
        assert home.call("PATCH", "/v1/projects/own", json=fault).status_code == 422


def test_one_open_job_too_many_is_refused_until_one_is_over(door: Door, home: Tenant) -> None:
    things = furnish(home, "linnet")
    limit(home, max_open_jobs=1)
    first = home.post_task(model="linnet", name="one", dataset_id=things["dataset"]).json()
    refused = home.post_task(model="linnet", name="two", dataset_id=things["dataset"])
    assert too_much(refused, "too_many_open_jobs") == 30
    assert [row["name"] for row in home.ok("GET", "/v1/tasks")["data"]] == ["one", "linnet-task"]
    home.ok("POST", f"/v1/jobs/{first['id']}/cancel")
    home.ok("POST", f"/v1/jobs/{first['id']}/retry")
    abroad = tenant(door, "abroad")
    model = abroad.ok("POST", "/v1/models", json={"name": "wren", "base_model": "tiny"})
    assert abroad.post_task(model=model["id"], name="one", dataset_id=abroad.upload()["id"]).status_code == 202
    limit(home, max_open_jobs=0)
    other = home.post_task(model="linnet", name="two", dataset_id=things["dataset"])
    too_much(other, "too_many_open_jobs")


def test_callers_at_the_same_moment_do_not_slip_past_the_quota(home: Tenant) -> None:
    things = furnish(home, "linnet")
    for n in range(6):
        home.ok("POST", "/v1/models", json={"name": f"model-{n}", "base_model": "tiny"})
    limit(home, max_open_jobs=2)
    statuses: list[int] = []

    def post(n: int) -> None:
        told = home.post_task(model=f"model-{n}", name="one", dataset_id=things["dataset"])
        statuses.append(told.status_code)

    threads = [threading.Thread(target=post, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 202, 429, 429, 429, 429]


def test_a_file_over_the_quota_is_refused_and_leaves_nothing(door: Door, home: Tenant) -> None:
    kept = home.upload()
    limit(home, max_bytes=kept["size_bytes"] + 10)
    before = door.contents()[1]
    more = {"file": ("rows.jsonl", labelled(20, start=50))}
    refused = home.call("POST", "/v1/datasets", files=more)
    assert too_much(refused, "too_many_bytes") == 3600
    assert door.contents()[1] == before
    assert home.upload()["id"] == kept["id"], "the same content again takes no more"
    home.ok("DELETE", f"/v1/datasets/{kept['id']}")
    assert home.ok("POST", "/v1/datasets", files=more)["size_bytes"] > 0


def test_one_request_too_many_a_minute_is_refused_whatever_it_asks(door: Door, home: Tenant) -> None:
    abroad = tenant(door, "abroad")
    limit(home, max_requests_per_minute=3)
    for _ in range(3):
        home.ok("GET", "/v1/models")
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/tasks"), ("GET", "/v1/methods")):
        assert 0 < too_much(home.call(method, path), "rate_limited") <= 20
    assert home.call("GET", "/healthz").status_code == 200
    abroad.ok("GET", "/v1/models")
