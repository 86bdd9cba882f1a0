"""Jobs, as their users see them; the verbs of the worker that holds one are in `core.services.claims`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from core.domain.errors import ConflictError, IllegalMoveError
from core.domain.jobs import JobKind, JobState
from core.domain.ports import Dispatcher
from core.domain.records import Dataset, Event, Job, MetricPoint, Model, Page, Task, Version
from core.registry import aliases, datasets, measures, models, places, versions
from core.registry import events as event_rows
from core.registry import jobs as job_rows
from core.registry import tasks as task_rows
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services import base_models, exports, quotas, rebuilds
from core.services.claims import (
    BeatAnswer,
    beat,
    claim,
    confirm_cancelled,
    confirm_paused,
    fail,
    give_up,
    record,
    release,
    sweep,
)
from core.services.endings import end
from core.services.naming import require_job, require_model
from core.services.pauses import pause, resume
from core.services.tasks import Queued

__all__ = [
    "BeatAnswer",
    "beat",
    "cancel",
    "claim",
    "confirm_cancelled",
    "confirm_paused",
    "events",
    "fail",
    "get",
    "give_up",
    "metrics",
    "page",
    "pause",
    "queue_position",
    "queue_positions",
    "record",
    "release",
    "resume",
    "retry",
    "surroundings",
    "surroundings_of_new",
    "sweep",
]

MAX_EVENT_NUMBER: Final = 2**62  # more would not fit the column
_RETRIABLE: Final = frozenset({JobState.FAILED, JobState.REJECTED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What jobs are shown with, by id: models, tasks, result versions, what these learned from, places in the queue.

    Models and datasets are there while they live.
    """

    models: Mapping[str, Model]
    tasks: Mapping[str, Task]
    results: Mapping[str, Version]
    datasets: Mapping[str, Dataset]
    queue_positions: Mapping[str, int]


def get(work: Work, *, project_id: str, job_id: str) -> Job:
    """Return a job.

    Raises:
        MissingError: ``job_not_found``.
    """
    return require_job(work, project_id=project_id, job_id=job_id)


def page(  # noqa: PLR0913 - filters and a cursor
    work: Work,
    *,
    project_id: str,
    model: str | None = None,
    state: JobState | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Job]:
    """Return the project's jobs, or those of one model (name or id) or in one state."""
    model_id = None if model is None else require_model(work, project_id=project_id, reference=model).id
    cursor = Cursor(limit, after, order)
    return job_rows.page(work, project_id=project_id, model_id=model_id, state=state, cursor=cursor)


def surroundings(work: Work, jobs: Collection[Job]) -> Surroundings:
    """Return what some jobs are shown with, in as few queries for many as for one."""
    model_ids = {job.model_id for job in jobs if job.model_id}
    task_ids = {job.task_id for job in jobs if job.task_id}
    version_ids = {job.result_version_id for job in jobs if job.result_version_id}
    tasks = task_rows.by_id(work, task_ids) if task_ids else {}
    learned = {tasks[job.task_id].dataset_id for job in jobs if job.task_id and job.result_version_id}
    return Surroundings(
        models=models.living_by_id(work, model_ids) if model_ids else {},
        tasks=tasks,
        results=versions.by_id(work, version_ids) if version_ids else {},
        datasets=datasets.living_by_id(work, learned) if learned else {},
        queue_positions=queue_positions(work, jobs),
    )


def surroundings_of_new(work: Work, queued: Queued) -> Surroundings:
    """Return what the job of a task that was just queued is shown with."""
    return Surroundings(
        models={queued.model.id: queued.model},
        tasks={queued.task.id: queued.task},
        results={},
        datasets={},
        queue_positions=queue_positions(work, (queued.job,)),
    )


def cancel(work: Work, *, project_id: str, job_id: str) -> Job:
    """Cancel at once what waits; ask the holder of what runs. Cancelling again changes nothing.

    Raises:
        MissingError: ``job_not_found``.
        IllegalMoveError: ``wrong_state``: the job is over otherwise.
    """
    job = require_job(work, project_id=project_id, job_id=job_id, lock=True)
    if job.state is JobState.CANCELLED or job.cancel_requested:
        return job
    if job.state is not JobState.RUNNING:
        return end(work, job, to=JobState.CANCELLED, actor=work.actor)
    asked = job_rows.change(work, job, cancel_requested=True)
    event_rows.append(
        work,
        subject_id=job.id,
        project_id=project_id,
        kind="cancel_requested",
        actor=work.actor,
        fence=job.fence,
    )
    return asked


def retry(work: Work, *, project_id: str, job_id: str, dispatcher: Dispatcher) -> Job:
    """Queue a new job like one that failed, was rejected or was cancelled.

    Raises:
        MissingError: ``job_not_found``.
        ConflictError: ``wrong_state``: it did not end so, or another job of its task is open or succeeded.
        QuotaError: ``too_many_open_jobs``.
    """
    job = require_job(work, project_id=project_id, job_id=job_id, lock=True)
    if job.state not in _RETRIABLE:
        raise IllegalMoveError(subject="job", state=job.state, to="retried")
    if job.base_model_id is not None:
        return base_models.inspect(work, base_model_id=job.base_model_id, dispatcher=dispatcher, retry_of=job.id)
    if job.kind is JobKind.REBUILD:
        return rebuilds.again(work, job, dispatcher=dispatcher)
    if job.kind is JobKind.EXPORT:
        return exports.again(work, job, dispatcher=dispatcher)
    quotas.require_open_job(work, project_id=project_id)
    return _queue_again(work, job, dispatcher=dispatcher)


def queue_position(work: Work, *, project_id: str, job_id: str) -> int | None:
    """Return 1 for the project's queued job before which no other one of the project stands, 2 for the next, ...

    None unless the job is queued. Other projects' jobs are not counted, so the first may still have to wait.
    """
    job = get(work, project_id=project_id, job_id=job_id)
    return queue_positions(work, (job,)).get(job.id)


def queue_positions(work: Work, jobs: Collection[Job]) -> dict[str, int]:
    """Return `queue_position` of those of some jobs that are queued, by their ids."""
    queued = [job.id for job in jobs if job.state is JobState.QUEUED]
    return {job_id: 1 + ahead for job_id, ahead in places.ahead(work, queued).items()}


def events(work: Work, *, project_id: str, job_id: str, after: int = 0, limit: int = 100) -> Page[Event]:
    """Return the job's events with a number above ``after``, oldest first."""
    job = get(work, project_id=project_id, job_id=job_id)
    after = min(after, MAX_EVENT_NUMBER)
    return event_rows.page(work, subject_id=job.id, after=after, limit=Cursor(limit, None, "asc").limit)


def metrics(
    work: Work, *, project_id: str, job_id: str, series: tuple[str, ...] = (), max_points: int = 500
) -> tuple[MetricPoint, ...]:
    """Return the job's curves by series and step, each thinned to ``max_points``; no ``series`` means all."""
    job = get(work, project_id=project_id, job_id=job_id)
    curves: dict[str, list[MetricPoint]] = {}
    for point in measures.points(work, job_id=job.id, series=series):
        curves.setdefault(point.series, []).append(point)
    return tuple(point for curve in curves.values() for point in _thinned(curve, max_points))


def _queue_again(work: Work, job: Job, *, dispatcher: Dispatcher) -> Job:
    model_id, task_id = str(job.model_id), str(job.task_id)
    seq = models.next_seq(work, model_id)
    if job_rows.any_open(work, task_id=task_id) or _is_learned(work, model_id, task_id=task_id):
        raise ConflictError("another job of this task is open or has succeeded", code="wrong_state")
    again = job_rows.add(
        work,
        project_id=job.project_id,
        kind=JobKind.TRAIN,
        seq=seq,
        actor=work.actor,
        model_id=model_id,
        task_id=task_id,
        params=dict(job.params),
        expected_parent=job.expected_parent,
        retry_of=job.id,
    )
    work.after_commit(lambda: dispatcher.wake(again.id))
    return again


def _is_learned(work: Work, model_id: str, *, task_id: str) -> bool:
    """Return whether the task is in what `latest` names; after a rollback it may be learned anew."""
    head = aliases.find(work, model_id=model_id, name="latest")
    chain = versions.get(work, head.version_id).chain if head else ()
    return any(link.task_id == task_id for link in versions.links(work, chain).values())


def _thinned(curve: list[MetricPoint], max_points: int) -> list[MetricPoint]:
    """Return at most ``max_points`` points, evenly spaced by rank, first and last among them."""
    if len(curve) <= max_points:
        return curve
    if max_points < 2:  # noqa: PLR2004 - the last point alone
        return curve[-max_points:] if max_points > 0 else []
    stride = (len(curve) - 1) / (max_points - 1)
    return [curve[round(n * stride)] for n in range(max_points)]
