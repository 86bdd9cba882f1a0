"""A scripted service behind the client's transport port."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeService:
    """Gives the scripted answers of each call in order, the last one for ever, and keeps what was asked."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def on(self, call: str, *answers: Answer | dict[str, Any], status: int = 200) -> None:
        self.answers[call] = [
            httpx.Response(status, json=answer) if isinstance(answer, dict) else answer for answer in answers
        ]

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        script = self.answers.get(f"{request.method} {request.url.path}")
        if not script:
            return problem(404, "not_found", "there is no such thing")
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def sent(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].content)


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> httpx.Response:
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail, "errors": errors or []}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


def job(state: str = "queued", **fields: Any) -> dict[str, Any]:
    return {"id": "job_1", "kind": "train", "state": state, **fields}
