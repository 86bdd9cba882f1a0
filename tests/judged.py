"""Tasks whose versions the gate has something to say about: scored row by row, beside a level of chance."""

from collections.abc import Mapping
from typing import Any

import stage

from core.domain.job_folder import ScoreEvent
from core.domain.records import Job, Version
from core.registry.work import Registry
from core.services import tasks
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

ROWS = 60
CHANCE = 0.25


def scored(task_id: str, right: int, **fields: Any) -> ScoreEvent:
    """Return the exact match of a new version: of 60 rows the first ``right`` ones."""
    outcomes = (1.0,) * right + (0.0,) * (ROWS - right)
    return stage.result(task_id, right / ROWS).model_copy(
        update={"chance": CHANCE, "outcomes": outcomes, "rows_sha256": stage.sha256(task_id), **fields}
    )


def finish(registry: Registry, right: Mapping[str, int], *, model: str = "desk") -> Version:
    """Claim the next job and publish its version, with so many right rows by a task's name."""
    with registry.write() as work:
        named = {each.name: each.id for each in tasks.page(work, project_id=PROJECT, model=model, limit=100).data}
        return stage.publish(work, stage.claim(work), [scored(named[name], count) for name, count in right.items()])


def learn(registry: Registry, name: str, right: Mapping[str, int], **arguments: Any) -> tuple[Version, Job]:
    """Post a task, and publish what its trainer left: so many of 60 rows right, by a task's name."""
    _, job = stage.submit(registry, name, **arguments)
    version = finish(registry, right)
    return version, stage.look(registry, job)
