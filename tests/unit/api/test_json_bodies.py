"""JSON bodies that other services let pass are refused here."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

JSON = "application/json"
MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "truncated": b'{"name": "a"',
    "trailing garbage": b'{"name": "a"} x',
    "very deep": b"[" * 100_000,
    "depth 33": b'{"name":' * 33 + b"1" + b"}" * 33,
    "NaN": b'{"temperature": NaN}',
    "infinity": b'{"temperature": -Infinity}',
    "1e999": b'{"temperature": 1e999}',
    "5000 digits": b'{"seed": ' + b"1" * 5_000 + b"}",
    "key twice": b'{"model": "a", "model": "b"}',
    "UTF-16": json.dumps({"model": "a"}).encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"model": "a"}',
    "latin-1": b'{"model": "\xe9"}',
    "single quotes": b"{'model': 'a'}",
    "comment": b'{"model": "a"} // b',
}
UNFIT: dict[str, tuple[bytes, list[Any]]] = {
    "null": (b"null", []),
    "array": (b"[]", []),
    "text": (b'"a"', []),
    "400 digits": (b'{"model": "a", "prompt": "b", "seed": ' + b"1" * 400 + b"}", ["seed"]),
    "true for a number": (b'{"model": "a", "prompt": "b", "max_tokens": true}', ["max_tokens"]),
    "text for a number": (b'{"model": "a", "prompt": "b", "max_tokens": "8"}', ["max_tokens"]),
    "fraction for a whole number": (b'{"model": "a", "prompt": "b", "max_tokens": 8.5}', ["max_tokens"]),
    "unknown field": (b'{"model": "a", "prompt": "b", "project_id": "x"}', ["project_id"]),
    "lone surrogate": (rb'{"model": "a", "prompt": "\ud800"}', ["prompt"]),
    "NUL": (rb'{"model": "a", "prompt": "\u0000"}', ["prompt"]),
    "missing field": (b'{"prompt": "b"}', ["model"]),
    "out of bounds": (b'{"model": "a", "prompt": "b", "temperature": 3}', ["temperature"]),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_body_that_is_not_strict_json_is_400(client: TestClient, case: str) -> None:
    answer = client.post("/v1/generate", content=MALFORMED[case], headers={"Content-Type": JSON})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("case", UNFIT)
def test_a_body_that_does_not_fit_is_422_with_its_place(client: TestClient, case: str) -> None:
    body, loc = UNFIT[case]
    answer = client.post("/v1/generate", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == loc


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": JSON, "Content-Encoding": "gzip"},
    ],
)
def test_another_content_type_is_415(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/generate", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_over_a_mebibyte_is_413(client: TestClient) -> None:
    body = b'{"prompt": "' + b"a" * 1024 * 1024 + b'"}'
    assert client.post("/v1/generate", content=body, headers={"Content-Type": JSON}).status_code == 413


def test_what_was_sent_is_never_echoed(client: TestClient) -> None:
    body = b'{"model": "a", "prompt": 5, "temperature": "sekret", "messages": "sekret", "stop": {"a": "sekret"}}'
    answer = client.post("/v1/generate", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == 422
    assert "sekret" not in answer.text
