"""The rows that tests of the registry begin with, made through the services."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import update

from core.domain.base_facts import BaseFacts
from core.domain.job_folder import ScoreEvent
from core.domain.manifest import DeltaSummary, Manifest, Provenance
from core.domain.records import BaseModel, Dataset, Job, Model, Task, Version
from core.learning.recipe import TaskSpec
from core.registry.tables import JOB
from core.registry.work import Registry, Work
from core.services import base_models, datasets, jobs, models, tasks, trainer_specs, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

LEASE_SECONDS = 60.0
FACTS = BaseFacts(
    family="causal",
    architecture="TinyForCausalLM",
    modules={f"layers.{n}.{name}": (16, 16) for n in range(2) for name in ("q_proj", "v_proj")},
    blocks={f"layers.{n}.{name}": f"layers.{n}" for n in range(2) for name in ("q_proj", "v_proj")},
    default_targets=("q_proj", "v_proj"),
    context_tokens=1024,
    vocabulary=128,
    parameters=1000,
    size_bytes=4000,
    digest="b" * 64,
    tokenizer_sha256="1" * 64,
    end_token="<end>",
    end_token_id=1,
    chat_template=None,
)


class Wakes:
    """A dispatcher that notes whom it would have woken for."""

    def __init__(self) -> None:
        self.job_ids: list[str] = []

    def wake(self, job_id: str) -> None:
        self.job_ids.append(job_id)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ready_base(registry: Registry, name: str = "tiny", *, facts: BaseFacts = FACTS) -> BaseModel:
    """Add a base model and finish its inspection."""
    with registry.write() as work:
        base_models.add(work, name=name, source="folder:/models/tiny", dispatcher=Wakes())
    with registry.write() as work:
        job = claim(work)
        return base_models.record_facts(work, job=job, fence=fence_of(job), facts=facts, path="/base/tiny")


def new_model(registry: Registry, name: str = "desk", **arguments: Any) -> Model:
    """Create a model; the base model `tiny` must be ready."""
    with registry.write() as work:
        return models.create(work, project_id=PROJECT, name=name, base_model="tiny", **{"method": {}, **arguments})


def new_dataset(work: Work, text: str = "rows", labels: Sequence[str] | None = ("basalt", "ember")) -> Dataset:
    """Register a file, of text and labels unless `labels` is None."""
    return datasets.register(
        work,
        project_id=PROJECT,
        sha256=sha256(text),
        size_bytes=100,
        format="text_label" if labels else "prompt_completion",
        n_rows=10,
        report={"labels": list(labels) if labels else None},
    )


def submission(work: Work, name: str, *, model: str = "desk", **arguments: Any) -> tasks.TaskSubmission:
    """Return a submission on a dataset of its own."""
    spec = TaskSpec.model_validate(arguments.pop("spec", {}))
    return tasks.TaskSubmission(model=model, name=name, dataset_id=new_dataset(work, name).id, spec=spec, **arguments)


def submit(registry: Registry, name: str, *, model: str = "desk", **arguments: Any) -> tuple[Task, Job]:
    """Post a task."""
    with registry.write() as work:
        posted = submission(work, name, model=model, **arguments)
        queued = tasks.submit(work, project_id=PROJECT, submission=posted, dispatcher=Wakes())
        return queued.task, queued.job


def claim(work: Work, owner: str = "worker-1", lease_seconds: float = LEASE_SECONDS) -> Job:
    """Claim the next job, of which there must be one."""
    job = jobs.claim(work, owner=owner, lease_seconds=lease_seconds)
    assert job is not None, "there is nothing to claim"
    return job


def claimed(registry: Registry, owner: str = "worker-1", lease_seconds: float = LEASE_SECONDS) -> Job:
    """Claim the next job in a work of its own."""
    with registry.write() as work:
        return claim(work, owner, lease_seconds)


def fence_of(job: Job) -> int:
    assert job.fence is not None
    return job.fence


def manifest_of(work: Work, job: Job, **changes: Any) -> Manifest:
    """Return the manifest that the job's trainer would have written."""
    plan = trainer_specs.build(work, job=job)
    made = Manifest(
        provenance=Provenance.model_validate(plan.provenance),
        base_digest=plan.base_digest,
        chain=tuple(link.manifest_sha256 for link in plan.chain),
        digest=sha256(f"folded {job.id}"),
        delta=DeltaSummary(format="sparse", nnz=25, density=0.25, size_bytes=100, modules={}),
        recipe=dict(plan.recipe),
        template=dict(plan.template),
        libraries={},
    )
    return made.model_copy(update=changes)


def bare_manifest(provenance: Mapping[str, Any], **said: Any) -> Manifest:
    """Return the manifest of a version that changes nothing itself."""
    return Manifest(
        provenance=Provenance.model_validate(provenance),
        digest=sha256(f"rebuilt {provenance}"),
        delta=DeltaSummary(format="sparse", nnz=0, density=0, size_bytes=10, modules={}),
        recipe={},
        template={},
        libraries={},
        **said,
    )


def artefact_of(job: Job) -> str:
    return f"versions/{job.project_id}/{job.model_id}/{sha256(f'manifest {job.id} {job.fence}')}"


def publish(work: Work, job: Job, scores: Sequence[ScoreEvent] = ()) -> Version:
    """Publish what a claimed job's trainer would have left."""
    manifest = manifest_of(work, job)
    return versions.publish(
        work,
        job_id=job.id,
        fence=fence_of(job),
        manifest=manifest,
        scores=scores,
        artefact=artefact_of(job),
    )


def learn(registry: Registry, name: str, *, model: str = "desk", scores: Mapping[str, float] | None = None) -> Version:
    """Post a task, claim it and publish it, with exact-match scores by the task's name."""
    task, _ = submit(registry, name, model=model)
    with registry.write() as work:
        named = {each.name: each.id for each in tasks.page(work, project_id=PROJECT, model=model, limit=100).data}
        events = [result(named[key], value) for key, value in (scores or {}).items()]
        job = claim(work)
        assert job.task_id == task.id
        return publish(work, job, events)


def result(task_id: str, value: float, *, subject: str = "result", metric: str = "exact_match") -> ScoreEvent:
    return ScoreEvent.model_validate(
        {"subject": subject, "task_id": task_id, "metric": metric, "value": value, "n_rows": 60},
    )


def look(registry: Registry, job: Job) -> Job:
    """Return the job as it is now."""
    with registry.read() as work:
        return jobs.get(work, project_id=PROJECT, job_id=job.id)


def expire(registry: Registry, job: Job) -> None:
    """Let the job's lease end now."""
    with registry.write() as work:
        work.connection.execute(update(JOB).where(JOB.c.id == job.id).values(lease_ms=work.now_ms() - 1))
