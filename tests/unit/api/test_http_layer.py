"""What is settled before any route, and how every refusal looks."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["error"]["code"] == body["code"]
    assert set(body) == {
        "type", "title", "status", "detail", "instance", "request_id", "code", "errors", "error",
    }  # fmt: skip
    return body


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    body = problem(client.get("/nothing/here"))
    assert (body["status"], body["code"], body["instance"]) == (404, "not_found", "/nothing/here")


def test_a_wrong_method_is_a_problem_and_names_the_right_ones(client: TestClient) -> None:
    answer = client.put("/v1/models")
    assert problem(answer)["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/v1/models/%00", "/v1/jobs/a%0d%0ab", "/v1/models/%2e%2e", "/v1/jobs/" + "a" * 300])
def test_what_cannot_be_a_name_names_nothing(client: TestClient, path: str) -> None:
    assert problem(client.get(path))["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=1000000000", "limit=x", "after=%00", "after=' OR 1", "order=up", "limit=1&limit=2"],
)
def test_a_query_that_does_not_fit_is_422(client: TestClient, query: str) -> None:
    body = problem(client.get(f"/v1/models?{query}"))
    assert body["status"] == 422
    assert body["errors"][0]["loc"] == ["query", query.partition("=")[0]]
    assert body["error"]["param"].startswith("query.")


def test_a_request_keeps_the_id_it_came_with(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    forged = client.get("/healthz", headers={"X-Request-Id": "a b"}).headers["x-request-id"]
    assert forged.startswith("req_")


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost", "[::1]:8321", "127.3.2.1", "LOCALHOST:80"])
def test_this_machine_may_be_named_as_the_host(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "", "0x7f.1:x", "[::1"])
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    body = problem(client.get("/healthz", headers={"Host": host}))
    assert (body["status"], body["code"]) == (400, "foreign_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_calls_from_other_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    body = problem(client.get("/healthz", headers=headers))
    assert (body["status"], body["code"]) == (403, "foreign_origin")


def test_our_own_pages_may_call(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:8321", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/healthz", headers=headers).status_code == 200


def test_a_body_with_two_framings_is_refused(client: TestClient) -> None:
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    assert client.post("/v1/models", content=b"{}", headers=headers).status_code == 400


def test_a_crash_says_nothing_but_its_request_id(client: TestClient) -> None:
    app: Any = client.app

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError("sekret")

    answer = client.get("/crash")
    assert "sekret" not in answer.text
    body = answer.json()
    assert (body["status"], body["code"]) == (500, "internal_error")
    assert body["request_id"].startswith("req_")


def test_a_registry_that_is_not_there_is_503(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "data" / "registry.sqlite").unlink()
    answer = client.get("/v1/models")
    body = problem(answer)
    assert (body["status"], body["code"]) == (503, "registry_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_an_engine_that_is_not_there_leaves_the_api_alive(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"


def test_methods_are_listed_with_their_schemas(client: TestClient) -> None:
    methods = client.get("/v1/methods").json()["data"]
    assert "jumplora+ella" in [method["name"] for method in methods]
    assert "rank" in methods[0]["schema"]["adapter"]["properties"]
