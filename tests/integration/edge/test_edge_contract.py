"""The committed description against the service: what it allows and what it does not, tried with made-up requests.

Every answer must be one that the description knows, by status, media type and schema, and none may be the service's own
fault; what the description forbids must be refused.
"""

import re
from typing import Any, Final

import built_exports
import pytest
import schemathesis
from doors import Door
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tenants import document, tenant

from api import openapi

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
EXAMPLES: Final = 10


class Late:
    """An application that is there once the tests run: the requests are made up before."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


# What is refused for its length, before anybody asks what it says, is refused as well.
REFUSALS: Final = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 429, 431]
CONFIG: Final = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}}
LATE: Final = Late()
schema = schemathesis.openapi.from_path(openapi.FILE, config=schemathesis.Config.from_dict(CONFIG))
schema.app = LATE
READS: Final = sorted(path for path, methods in document()["paths"].items() if "get" in methods)


@pytest.fixture(scope="module")
def bearer(desk: Door) -> dict[str, str]:
    """The service, once it asks for keys, and a key of the project that has something in it."""
    LATE.app = desk.client.app
    desk.echo.version_id = desk.resolve("desk:latest")
    shown = {"Authorization": f"Bearer {tenant(desk, 'default').key}"}
    asked = desk.client.post("/v1/versions/shelf/exports", json={"format": "merged"}, headers=shown)
    asked.raise_for_status()
    built_exports.build(desk.registry, desk.settings.artefacts_dir)
    return shown


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_service_answers_as_it_is_described(case: Any, bearer: dict[str, str]) -> None:
    case.call_and_validate(headers=bearer, checks=CHECKS)


@pytest.mark.parametrize("path", READS)
def test_what_is_there_is_answered_as_it_is_described(desk: Door, bearer: dict[str, str], path: str) -> None:
    """The requests that are made up seldom name a thing that is there."""
    job = desk.client.get("/v1/jobs?model=desk", headers=bearer).json()["data"][0]
    task = desk.client.get(f"/v1/tasks/{job['task_id']}", headers=bearer).json()
    export = desk.client.get("/v1/exports", headers=bearer).json()["data"][0]
    there = {
        "model": "desk", "alias": "latest", "version": "desk@1", "name": "tiny", "project_id": "own", "job_id": job["id"],
        "task_id": job["task_id"], "dataset_id": task["dataset_id"], "file_id": task["dataset_id"],
        "export_id": export["id"], "file": "README.md",
    }  # fmt: skip
    named = {name: there[name] for name in re.findall(r"{(\w+)}", path)}
    answer = schema[path]["GET"].Case(path_parameters=named).call_and_validate(headers=bearer, checks=CHECKS[:4])
    assert answer.status_code == 200
