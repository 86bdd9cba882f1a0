"""A case of the list of bad inputs: what is sent, what is promised, and that nothing is left behind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest
from doors import Door

from api import answer_headers
from api.error_codes import CODES

# Stands in what is sent wherever text may stand, and in no answer.
CANARY: Final = "sekret-canary"
PROBLEM: Final = "application/problem+json"
STRANGE_PATHS: Final = [
    "/v1/models/%00", "/v1/models/a%00b", "/v1/models/%2e%2e", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/models/../../etc/passwd", "//v1/models", "/v1//models", "/v1/models/", "/v1/models/%c0%ae%c0%ae%c0%af",
    "/v1/models/%ff", "/v1/models/%e2%80%ae", "/v1/models/%", "/v1/models/%zz", "/v1/models/;a", "/%2e%2e/healthz",
]  # fmt: skip
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    Attributes:
        number: in the list of bad inputs.
        send: sends it; several answers are all held to the promise.
        code: of the problem; its status stands in the service's own closed list.
        loc: the first place of the problem, where it has one; its line of an uploaded file.
        headers: that the answer carries as well.
        note: why the answer is another than the list's.
    """

    number: int
    name: str
    send: Callable[[Any], Any]
    code: str
    loc: list[Any] | None = None
    line: int | None = None
    headers: dict[str, str] | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


def parametrised(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


def one_of_each(cases: list[Case]) -> list[Case]:
    """Return a case of every input and code: what one database tells, the other tells by a few."""
    return list({(case.number, case.code): case for case in cases}.values())


def covers(*numbers: int) -> Callable[[F], F]:
    """Say which inputs of the list a test is about that is no row of a table."""

    def mark(test: F) -> F:
        test.covers = numbers  # type: ignore[attr-defined]
        return test

    return mark


def refuse(door: Door, case: Case) -> None:
    """Send a case, and hold every answer to its promise."""
    before, woken = door.contents(), list(door.wakes.job_ids)
    sent = case.send(door)
    for answer in sent if isinstance(sent, list) else [sent]:
        hold(answer, case)
    assert door.contents() == before, f"{case} left a trace"
    assert door.wakes.job_ids == woken


def hold(answer: Any, case: Case) -> None:
    require_problem(answer, case.code)
    if case.loc is not None:
        assert answer.json()["errors"][0]["loc"] == case.loc, answer.text
    if case.line is not None:
        assert answer.json()["errors"][0]["line"] == case.line, answer.text
    for name, value in (case.headers or {}).items():
        assert answer.headers[name] == value


def require_problem(answer: Any, code: str) -> dict[str, Any]:
    """Hold an answer to the shape of every refusal."""
    assert (answer.status_code, answer.json()["code"]) == (CODES[code].status, code), answer.text
    assert answer.headers["content-type"] == PROBLEM
    require_standard_headers(answer)
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "request_id", "code", "errors", "error"}
    assert body["status"] == answer.status_code
    assert CANARY not in answer.text, "an answer repeats what was sent"
    return body


def require_standard_headers(answer: Any) -> None:
    assert answer.headers["x-request-id"]
    for name, value in answer_headers.STANDARD.items():
        assert answer.headers[name] == value, name
