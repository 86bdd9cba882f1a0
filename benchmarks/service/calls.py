"""Calls of the API under load: tasks posted, jobs listed and read; and a bare peer that only inserts."""

import json
from typing import Any, Final

from benchmarks.service.installation import MODELS, Installation, await_that
from benchmarks.service.load import drive, request
from core.services import jobs
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from tests.compose_stack import free_port

ROWS: Final = 20
_BOUNDARY: Final = "strata-bench"
_FORM: Final = f"multipart/form-data; boundary={_BOUNDARY}"


def form(fields: dict[str, str], content: bytes) -> bytes:
    """Return a multipart body of some fields and a file."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
    return "".join([*parts, head]).encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def task(key: str, *, model: str, name: str) -> bytes:
    """Return the request that posts a task of a small file of its own."""
    rows = [{"prompt": f"{name} question {n}?", "completion": f" answer {n}"} for n in range(ROWS)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return request("POST", "/v1/tasks", key=key, kind=_FORM, body=form({"model": model, "name": name}, content))


def submissions(service: Installation, *, seconds: float) -> dict[str, Any]:
    """Post tasks from 16 clients, each to a model of its own."""
    asked = drive(
        lambda client, turn: task(service.key, model=f"model-{client % MODELS}", name=f"task-{client}-{turn}"),
        port=service.port,
        seconds=seconds,
    )
    return asked.figures()


def reads(service: Installation, *, seconds: float) -> dict[str, Any]:
    """List 20 jobs, and read one, from 16 clients."""
    with service.registry.read() as work:
        ids = [job.id for job in jobs.page(work, project_id=PROJECT, limit=100).data]
    listing = request("GET", "/v1/jobs?limit=20", key=service.key)
    one = [request("GET", f"/v1/jobs/{job_id}", key=service.key) for job_id in ids]
    return {
        "list": drive(lambda _client, _turn: listing, port=service.port, seconds=seconds).figures(),
        "get": drive(
            lambda client, turn: one[(16 * turn + client) % len(one)], port=service.port, seconds=seconds
        ).figures(),
    }


def bare(service: Installation, *, seconds: float) -> dict[str, Any]:
    """Post to a peer of the same libraries that checks nothing and inserts one row."""
    port = free_port()
    with service.process("benchmarks.service.bare", str(port), service.new_database("bare")):
        ping = request("GET", "/healthz")
        await_that(lambda: _pings(ping, port), what="the bare peer")
        body = json.dumps({"prompt": "x" * 1000}).encode()
        posted = request("POST", "/rows", kind="application/json", body=body)
        asked = drive(lambda _client, _turn: posted, port=port, seconds=seconds)
    return asked.figures()


def _pings(ping: bytes, port: int) -> bool:
    try:
        return drive(lambda _client, _turn: ping, port=port, seconds=0.01, clients=1).statuses[200] > 0
    except OSError:
        return False
