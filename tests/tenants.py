"""Two projects behind one door, each with a key that opens everything."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import built_exports
import stage
from doors import Door, labelled

from core.domain.access import Scope
from core.services import keys, projects

ALL = tuple(Scope)


@dataclass(frozen=True)
class Tenant:
    """One project, by one of its keys."""

    door: Door
    project_id: str
    key_id: str
    key: str

    def call(self, method: str, path: str, **request: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **request.pop("headers", {})}
        return self.door.client.request(method, path, headers=headers, **request)

    def ok(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self.call(method, path, **request)
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def upload(self, *, label: str = "basalt", start: int = 0) -> dict[str, Any]:
        rows = {"file": ("rows.jsonl", labelled(20, start=start, labels=(label, "ember")))}
        return self.ok("POST", "/v1/datasets", files=rows)

    def post_task(self, *, model: str, name: str, dataset_id: str) -> Any:
        return self.call("POST", "/v1/tasks", json={"model": model, "name": name, "dataset_id": dataset_id})


def tenant(door: Door, name: str, *, scopes: Sequence[Scope] = ALL, expires_in_seconds: int | None = None) -> Tenant:
    """Return a project of a name, with a new key."""
    with door.registry.acting_as("operator").write() as work:
        project = projects.ensure_named(work, name=name)
        made, key = keys.create(
            work, project_id=project.id, name="first", scopes=scopes, expires_in_seconds=expires_in_seconds
        )
    return Tenant(door, project.id, made.id, key)


def furnish(tenant: Tenant, word: str) -> dict[str, str]:
    """Give the project one of everything, all named after ``word``; return what can be asked for, by kind.

    No job may wait: the task that it learns is the next one.
    """
    model = tenant.ok("POST", "/v1/models", json={"name": word, "base_model": "tiny"})
    dataset = tenant.upload(label=word, start=len(word))
    job = tenant.post_task(model=word, name=f"{word}-task", dataset_id=dataset["id"]).json()
    with tenant.door.registry.write() as work:
        version = stage.publish(work, stage.claim(work), [stage.result(job["task_id"], 0.5)])
    spare = tenant.ok("POST", "/v1/keys", json={"name": f"{word}-key", "scopes": ["read"]})
    return {
        "project": tenant.project_id,
        "model": model["id"],
        "model_name": word,
        "dataset": dataset["id"],
        "task": job["task_id"],
        "job": job["id"],
        "version": version.id,
        "key": spare["id"],
    }


def line_up(tenant: Tenant, things: dict[str, str]) -> dict[str, str]:
    """Let one more job of the project wait in the queue; return all that can be asked for."""
    name = f"{things['model_name']}-next"
    waiting = tenant.post_task(model=things["model"], name=name, dataset_id=things["dataset"]).json()
    return {**things, "waiting_job": waiting["id"]}


def export(tenant: Tenant, things: dict[str, str]) -> dict[str, str]:
    """Give the project an export that is built; return all that can be asked for. No job may wait, as in `furnish`."""
    made = tenant.ok("POST", f"/v1/versions/{things['version']}/exports", json={"format": "merged"})
    file = f"{things['model_name']}.md"
    content = {file: b"# A model\n"}
    built_exports.build(tenant.door.registry, tenant.door.settings.artefacts_dir, contents=content)
    return {**things, "export": made["id"], "file": file}


def document() -> dict[str, Any]:
    """Return the description of every route."""
    from api import openapi

    described: dict[str, Any] = json.loads(openapi.FILE.read_text(encoding="utf-8"))
    return described
