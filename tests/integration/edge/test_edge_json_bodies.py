"""1 to 27: JSON bodies, sent to every route that reads one."""

import json
from typing import Any, Final

import pytest
from cases import CANARY, Case, one_of_each, parametrised, refuse, require_problem
from doors import Door
from tenants import document

JSON: Final = "application/json"
_PLACES: Final = {"{model}": "desk", "{alias}": "stable", "{project_id}": "own"}
VALID: Final = b'{"model": "desk", "name": "' + CANARY.encode() + b'"}'


def json_routes() -> list[tuple[str, str]]:
    """Every call whose body may be JSON."""
    return [
        (method, path)
        for path, methods in document()["paths"].items()
        for method, call in methods.items()
        if JSON in call.get("requestBody", {}).get("content", {})
    ]


def filled(path: str) -> str:
    for name, value in _PLACES.items():
        path = path.replace(name, value)
    return path


def sent(body: bytes, **headers: str) -> Any:
    """Return what sends ``body`` to every JSON route."""

    def send(door: Door) -> list[Any]:
        given = {"Content-Type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return [
            door.client.request(method, filled(path), content=body, headers=given) for method, path in json_routes()
        ]

    return send


def task(**fields: Any) -> Any:
    """Return what posts a task by JSON, with ``fields`` changed."""
    return task_text(json.dumps({"model": "desk", "name": "codes", "dataset_id": "data_0", **fields}).encode())


def task_text(body: bytes) -> Any:
    return lambda door: door.client.post("/v1/tasks", content=body, headers={"Content-Type": JSON})


def whole(number: str) -> Any:
    """Return what posts a task whose batch size is spelled ``number``."""
    return task_text(
        b'{"model": "desk", "name": "codes", "dataset_id": "data_0", "spec": {"training": {"batch_size": %s}}}'
        % number.encode()
    )


BATCH: Final = ["spec", "training", "batch_size"]
CASES: Final = [
    Case(number=1, name="empty body", send=sent(b""), code="malformed_json"),
    *(
        Case(number=2, name=f"{text} instead of an object", send=sent(text.encode()), code="invalid_request")
        for text in ("null", "[]", f'"{CANARY}"', "7", "true")
    ),
    Case(number=3, name="truncated", send=sent(VALID[:-1]), code="malformed_json"),
    Case(number=4, name="trailing garbage", send=sent(VALID + b" x"), code="malformed_json"),
    Case(number=4, name="two values", send=sent(VALID + VALID), code="malformed_json"),
    Case(number=5, name="100k nested arrays", send=sent(b"[" * 100_000), code="malformed_json"),
    Case(number=6, name="nesting 33", send=sent(b'{"a":' * 33 + b"1" + b"}" * 33), code="malformed_json"),
    Case(number=7, name="NaN", send=sent(b'{"model": NaN}'), code="malformed_json"),
    Case(number=8, name="Infinity", send=sent(b'{"model": Infinity}'), code="malformed_json"),
    Case(number=8, name="-Infinity", send=sent(b'{"model": -Infinity}'), code="malformed_json"),
    Case(number=9, name="1e999", send=sent(b'{"model": 1e999}'), code="malformed_json"),
    Case(number=10, name="5000 digits", send=sent(b'{"model": ' + b"1" * 5_000 + b"}"), code="malformed_json"),
    Case(number=11, name="400 digits for an int", send=whole("1" * 400), code="invalid_request", loc=BATCH),
    Case(number=12, name="key twice", send=sent(b'{"model": "a", "model": "b"}'), code="malformed_json"),
    Case(number=13, name="true for an int", send=whole("true"), code="invalid_request", loc=BATCH),
    Case(number=14, name="text for an int", send=whole('"8"'), code="invalid_request", loc=BATCH),
    Case(number=14, name="text with an underscore", send=whole('"1_0"'), code="invalid_request", loc=BATCH),
    Case(number=15, name="8.0 for an int", send=whole("8.0"), code="invalid_request", loc=BATCH),
    Case(number=16, name="unknown field", send=sent(b'{"unheard_of": "%s"}' % CANARY.encode()), code="invalid_request"),
    Case(
        number=16,
        name="unknown field deep inside",
        send=task(spec={"training": {"unheard_of": CANARY}}),
        code="invalid_request",
        loc=["spec", "training", "unheard_of"],
    ),
    Case(number=17, name="UTF-16", send=sent(VALID.decode().encode("utf-16")), code="malformed_json"),
    Case(number=17, name="UTF-16 without a mark", send=sent(VALID.decode().encode("utf-16-le")), code="malformed_json"),
    Case(number=17, name="UTF-32", send=sent(VALID.decode().encode("utf-32")), code="malformed_json"),
    Case(number=18, name="byte order mark", send=sent(b"\xef\xbb\xbf" + VALID), code="malformed_json"),
    Case(number=19, name="latin-1", send=sent(b'{"model": "caf\xe9"}'), code="malformed_json"),
    Case(number=19, name="overlong UTF-8", send=sent(b'{"model": "\xc0\xaf"}'), code="malformed_json"),
    Case(number=20, name="lone surrogate", send=sent(rb'{"model": "\ud800"}'), code="invalid_text", loc=["model"]),
    Case(number=20, name="lone surrogate in a key", send=sent(rb'{"\udfff": 1}'), code="invalid_text"),
    Case(number=21, name="NUL", send=sent(rb'{"model": "a\u0000b"}'), code="invalid_text", loc=["model"]),
    Case(number=22, name="comment", send=sent(VALID + b" // more"), code="malformed_json"),
    Case(number=22, name="single quotes", send=sent(b"{'model': 'desk'}"), code="malformed_json"),
    Case(number=22, name="trailing comma", send=sent(b'{"model": "desk",}'), code="malformed_json"),
    Case(number=22, name="bare key", send=sent(b'{model: "desk"}'), code="malformed_json"),
    Case(number=23, name="over a mebibyte", send=sent(b'{"model": "' + b"a" * 1024 * 1024 + b'"}'), code="too_large"),
    Case(number=24, name="no content type", send=sent(VALID, Content_Type=""), code="unsupported_media_type"),
    Case(number=24, name="text/plain", send=sent(VALID, Content_Type="text/plain"), code="unsupported_media_type"),
    Case(
        number=25,
        name="charset utf-16",
        send=sent(VALID.decode().encode("utf-16"), Content_Type="application/json; charset=utf-16"),
        code="unsupported_media_type",
    ),
    Case(
        number=26,
        name="form",
        send=sent(b"model=desk", Content_Type="application/x-www-form-urlencoded"),
        code="unsupported_media_type",
    ),
    *(
        Case(number=27, name=coding, send=sent(VALID, Content_Encoding=coding), code="unsupported_media_type")
        for coding in ("gzip", "br", "deflate", "zstd", "gzip, identity")
    ),
]


@parametrised(CASES)
def test_a_bad_body_is_refused_by_every_route_and_leaves_nothing(desk: Door, case: Case) -> None:
    refuse(desk, case)


def test_no_bad_body_leaves_anything_on_postgresql(desk_on_postgresql: Door, subtests: pytest.Subtests) -> None:
    for case in one_of_each(CASES):
        with subtests.test(str(case)):
            refuse(desk_on_postgresql, case)


def fields_of(method: str, path: str) -> dict[str, Any]:
    """Return every field of a route's body, each with a value of no kind that it takes."""
    described = document()
    schema = described["paths"][path][method]["requestBody"]["content"][JSON]["schema"]
    properties = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    return {name: {CANARY: [CANARY]} for name in properties}


@pytest.mark.parametrize(("method", "path"), json_routes())
def test_a_wrong_value_is_never_repeated(desk: Door, method: str, path: str) -> None:
    given = fields_of(method, path)
    answer = desk.client.request(method, filled(path), json=given)
    body = require_problem_but_keys(answer)
    assert {place["loc"][0] for place in body["errors"]} <= set(given)


def require_problem_but_keys(answer: Any) -> dict[str, Any]:
    """An unknown key is named by its place; its value is not."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 422, answer.text
    for place in body["errors"]:
        assert CANARY not in place["message"]
        assert CANARY not in (place["hint"] or "")
    assert CANARY not in body["detail"]
    return body


def test_a_crash_is_told_as_a_problem_with_the_headers_of_every_answer(desk: Door) -> None:
    app: Any = desk.client.app

    @app.get("/crash-of-a-test")
    def crash() -> None:
        raise RuntimeError(CANARY)

    require_problem(desk.client.get("/crash-of-a-test"), "internal_error")
