"""Asking for a version without some tasks, and building it as a worker does."""

from typing import Any

import stage
from stage import PROJECT, Wakes

from core.domain.job_folder import ScoreEvent
from core.domain.manifest import Manifest
from core.domain.records import Job, Version
from core.registry.work import Registry, Work
from core.services import (
    rebuild_plans,
    rebuilds,
    tasks,
    versions,
)
from core.services.rebuilds import RebuildRequest


def ask(registry: Registry, *leave_out: str, **fields: Any) -> Job:
    request = RebuildRequest(model="desk", leave_out=leave_out, **fields)
    with registry.write() as work:
        return rebuilds.submit(work, project_id=PROJECT, request=request, dispatcher=Wakes())


def manifest_of(work: Work, job: Job, **changes: Any) -> Manifest:
    plan = rebuild_plans.build(work, job=job)
    chain = tuple(link.manifest_sha256 for link in plan.links if link.version_id not in plan.left_out)
    made = stage.bare_manifest(plan.provenance, base_digest=plan.base_digest, chain=chain)
    return made.model_copy(update=changes)


def publish(work: Work, job: Job, scores: list[ScoreEvent] | None = None, **changes: Any) -> Version:
    return versions.publish(
        work,
        job_id=job.id,
        fence=stage.fence_of(job),
        manifest=manifest_of(work, job, **changes),
        scores=scores or [],
        artefact=stage.artefact_of(job),
    )


def rebuild(registry: Registry, *leave_out: str, **fields: Any) -> Version:
    ask(registry, *leave_out, **fields)
    with registry.write() as work:
        return publish(work, stage.claim(work))


def resolve(registry: Registry, reference: str = "desk") -> Version:
    with registry.read() as work:
        return versions.resolve(work, project_id=PROJECT, reference=reference)


def task_ids(work: Work) -> dict[str, str]:
    return {task.name: task.id for task in tasks.page(work, project_id=PROJECT, model="desk").data}
