"""What a worker must stage for one `train` job: ids, keys and hashes, resolved from the registry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.datasets.containers.container import Container, of_report
from core.domain.errors import ConflictError
from core.domain.records import Dataset, Job, Json, Task, Version
from core.domain.scores import Score
from core.registry import base_models, datasets, measures, models, tasks, versions
from core.registry.work import Work
from core.services import estimates
from core.services.chains import ChainDelta, deltas, is_ready


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTask:
    """One task to score. Blobs are named by sha256; no ``eval_sha256`` means the 10 % split of ``train_sha256``."""

    task_id: str
    name: str
    format: str
    train_sha256: str
    eval_sha256: str | None
    template: Json
    spec: Json
    train_container: Container = Container.JSONL
    eval_container: Container = Container.JSONL


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPlan:
    """Everything that `spec.json` says, before the files have paths in the job's folder.

    Attributes:
        base_path: absolute folder of the base model; base_digest is over its tensors.
        chain: the parent's deltas in order; empty for ``model@0``.
        parent_digest: of the parent's folded tensors.
        recipe: the effective method and training settings, as JSON.
        tasks: the tasks of the lineage in order, this job's own last; without those whose rows did not come along when
            the model was imported: nothing can be scored on them.
        provenance: project_id, model_id, task_id, job_id, fence, parent_version_id.
        known_base: scores of the base on the task and on the general text, from earlier jobs of the model.
        peak_memory_bytes: estimated, as is ``disk_bytes``, which is what the job will write.
    """

    base_path: str
    base_digest: str
    chain: tuple[ChainDelta, ...]
    parent_version_id: str
    parent_digest: str
    recipe: Json
    template: Json
    train_sha256: str
    eval_sha256: str | None
    tasks: tuple[StagedTask, ...]
    provenance: Json
    known_base: tuple[Score, ...] = ()
    train_container: Container = Container.JSONL
    peak_memory_bytes: float = 0
    disk_bytes: float = 0


def build(work: Work, *, job: Job) -> StagingPlan:
    """Return the plan of a claimed `train` job.

    Raises:
        ConflictError: ``parent_conflict``: the parent is no longer ready; ``wrong_kind``: the job trains nothing.
    """
    if job.model_id is None or job.task_id is None or job.parent_version_id is None:
        raise ConflictError("only a claimed train job has a plan", code="wrong_kind")
    parent = versions.get(work, job.parent_version_id)
    if not is_ready(work, parent):
        raise ConflictError("the parent version is no longer ready", code="parent_conflict")
    base = base_models.get(work, models.get(work, job.model_id).base_model_id)
    task = tasks.get(work, job.task_id)
    own = _staged(task, _files(work, [task]))
    memory, disk = estimates.room(work, job)
    return StagingPlan(
        base_path=str(base.path),
        base_digest=str(base.digest),
        chain=deltas(work, parent),
        parent_version_id=parent.id,
        parent_digest=parent.digest,
        recipe=job.params["recipe"],
        template=own.template,
        train_sha256=own.train_sha256,
        train_container=own.train_container,
        eval_sha256=own.eval_sha256,
        tasks=(*learned(work, parent), own),
        provenance={
            "project_id": job.project_id,
            "model_id": job.model_id,
            "task_id": job.task_id,
            "job_id": job.id,
            "fence": job.fence,
            "parent_version_id": parent.id,
        },
        known_base=_known_base(work, model_id=job.model_id, task_id=job.task_id),
        peak_memory_bytes=memory.value or 0,
        disk_bytes=disk.value or 0,
    )


def _known_base(work: Work, *, model_id: str, task_id: str) -> tuple[Score, ...]:
    """Return what is known of the base; of earlier releases' scores nobody knows on which rows they were measured."""
    zero = versions.find_number(work, model_id=model_id, number=0)
    ids = [zero.id] if zero else []
    on_task = measures.scores(work, ids, task_id=task_id, with_rows=True)
    general = measures.general_scores(work, ids, with_rows=True)
    return tuple(score for score in (*on_task, *general) if score.rows_sha256)


def learned(work: Work, parent: Version) -> tuple[StagedTask, ...]:
    """Return the tasks of the parent's chain that can be scored, in the order in which they were learned."""
    links = versions.links(work, parent.chain)
    task_ids = [task_id for link in parent.chain if (task_id := links[link].task_id)]
    known = tasks.by_id(work, task_ids)
    files = _files(work, known.values())
    return tuple(_staged(known[task_id], files) for task_id in task_ids if _is_scored(known[task_id], files))


def _files(work: Work, of: Iterable[Task]) -> dict[str, Dataset]:
    """Return the files of some tasks by their ids."""
    return datasets.by_id(work, {each for task in of for each in (task.dataset_id, task.eval_dataset_id) if each})


def _is_scored(task: Task, files: Mapping[str, Dataset]) -> bool:
    """Return whether a task's held-out rows are here."""
    return files[task.eval_dataset_id or task.dataset_id].deleted_ms is None


def _staged(task: Task, files: Mapping[str, Dataset]) -> StagedTask:
    train = files[task.dataset_id]
    held_out = files[task.eval_dataset_id] if task.eval_dataset_id else None
    return StagedTask(
        task_id=task.id,
        name=task.name,
        format=train.format,
        train_sha256=train.sha256,
        train_container=of_report(train.report),
        eval_sha256=held_out.sha256 if held_out else None,
        eval_container=of_report((held_out or train).report),
        template=task.template,
        spec=task.spec,
    )
