"""36 to 45: addresses, methods, ranges, hosts and queries."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from cases import STRANGE_PATHS, Case, covers, parametrised, refuse, require_standard_headers
from doors import Door


def got(*paths: str, **headers: str) -> Callable[[Any], Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda door: [door.client.get(path, headers=given) for path in paths]


def asked(*queries: str) -> Callable[[Any], Any]:
    lists = (
        "/v1/models",
        "/v1/jobs",
        "/v1/tasks",
        "/v1/datasets",
        "/v1/keys",
        "/v1/base-models",
        "/v1/models/desk/versions",
    )
    return lambda door: [door.client.get(f"{path}?{query}") for path in lists for query in queries]


CASES: Final = [
    *(
        Case(number=36, name=f"CRLF in {path}", send=got(path), code="not_found")
        for path in (
            "/v1/jobs/a%0d%0aSet-Cookie:x=1",
            "/v1/models/a%0d%0a",
            "/v1/datasets/%0aLocation:x",
            "/v1/versions/a%0d",
        )
    ),
    Case(
        number=37,
        name="unknown method",
        send=lambda door: [door.client.request(method, "/v1/models") for method in ("BREW", "PUT", "TRACE")],
        code="method_not_allowed",
        headers={"allow": "GET, POST"},
    ),
    Case(
        number=37,
        name="unknown method of a page",
        send=lambda door: [door.client.request("BREW", path) for path in ("/docs", "/openapi.json")],
        code="method_not_allowed",
        headers={"allow": "GET, HEAD"},
    ),
    *(Case(number=40, name=path, send=got(path), code="not_found") for path in STRANGE_PATHS),
    Case(
        number=42,
        name="foreign host",
        send=lambda door: [
            door.client.get("/v1/models", headers={"Host": host}) for host in ("evil.example", "a b", "", "0")
        ],
        code="foreign_host",
        note="with keys any name is the service's, as long as it is one: see test_edge_access",
    ),
    Case(
        number=43,
        name="query key twice",
        send=asked("limit=1&limit=2", "order=asc&order=desc", "after=job_0&limit=2&after=job_1"),
        code="invalid_request",
    ),
    Case(number=44, name="page size", send=asked("limit=0", "limit=-1", "limit=1000000000"), code="invalid_request"),
    Case(number=44, name="page size of 5000 digits", send=asked("limit=" + "9" * 5_000), code="invalid_request"),
    Case(
        number=44,
        name="no number",
        send=asked("limit=1e1", "limit=1.0", "limit=%C2%B2", "limit="),
        code="invalid_request",
    ),
    Case(
        number=45,
        name="forged cursor",
        send=asked("after=%00", "after=' OR 1=1", "after=job_0'--", "after=" + "job_" + "0" * 70, "after=", "after=7"),
        code="invalid_request",
        note="a cursor is an id: one that was invented is a place in the list of the caller's own things",
    ),
]


@parametrised(CASES)
def test_a_bad_address_or_query_is_refused_and_leaves_nothing(desk: Door, case: Case) -> None:
    refuse(desk, case)


def test_no_bad_query_leaves_anything_on_postgresql(desk_on_postgresql: Door, subtests: pytest.Subtests) -> None:
    for case in CASES:
        with subtests.test(str(case)):
            refuse(desk_on_postgresql, case)


@covers(41)
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/v1/models"])
def test_a_thousand_ranges_get_the_whole_once(desk: Door, path: str) -> None:
    whole = desk.client.get(path)
    ranged = desk.client.get(path, headers={"Range": "bytes=" + ",".join(["0-"] * 1_000)})
    assert (ranged.status_code, ranged.content) == (200, whole.content)
    require_standard_headers_but_for_pages(ranged)


def require_standard_headers_but_for_pages(answer: Any) -> None:
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_runs_no_script_but_its_own(desk: Door) -> None:
    policy = desk.client.get("/docs").headers["content-security-policy"]
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src ")]
    assert "'sha256-" in scripts
    assert "unsafe" not in scripts


def test_every_answer_carries_the_same_headers(desk: Door) -> None:
    for answer in (desk.client.get("/v1/models"), desk.client.get("/healthz"), desk.client.get("/nowhere")):
        require_standard_headers(answer)
