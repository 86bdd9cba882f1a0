"""Rows of `job`: reading, creating, and the one function by which a job's state changes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, func, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from core.domain.errors import ConflictError, LostLeaseError
from core.domain.identifiers import new_id
from core.domain.jobs import OPEN, TERMINAL, JobKind, JobState, Phase, advance
from core.domain.records import Job, Json, Page
from core.registry import events, job_counts
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import JOB, MODEL
from core.registry.work import Work

FINISHED_JOBS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """What a job that succeeded took: the whole job, in seconds."""

    task_id: str
    params: Json
    seconds: float


ROWS: Final = select(*columns(JOB, Job))
# What is asked at every call is built once: building a statement takes longer than running it.
_INSERT: Final = insert(JOB)
_BY_ID: Final = ROWS.where(JOB.c.id == bindparam("job_id"))
_OF_PROJECT: Final = _BY_ID.where(JOB.c.project_id == bindparam("project_id"))
_OF_PROJECT_LOCKED: Final = _OF_PROJECT.with_for_update()
_HELD: Final = _BY_ID.where(JOB.c.fence == bindparam("fence"), JOB.c.state == JobState.RUNNING).with_for_update()
_NEW: Final = dict.fromkeys(field.name for field in fields(Job)) | {
    "state": JobState.QUEUED,
    "cancel_requested": False,
    "pause_requested": False,
    "claims": 0,
    "barren": 0,
    "step": 0,
}


def built(row: Row[Any]) -> Job:
    """Return the record of a row of `ROWS`."""
    values = row._asdict()
    values["kind"] = JobKind(row.kind)
    values["state"] = JobState(row.state)
    values["phase"] = None if row.phase is None else Phase(row.phase)
    return Job(**values)


def add(work: Work, *, project_id: str, kind: JobKind, seq: int, actor: str, **values: Any) -> Job:
    """Queue a job."""
    own = {"id": new_id("job"), "project_id": project_id, "kind": kind, "seq": seq, "created_ms": work.now_ms()}
    row: dict[str, Any] = _NEW | own | values
    work.connection.execute(_INSERT, row)
    job = Job(**row)
    born = (None, JobState.QUEUED)
    data = {"retry_of": job.retry_of} if job.retry_of else None
    events.append(work, subject_id=job.id, project_id=project_id, kind=events.STATE, actor=actor, moved=born, data=data)
    return job


def get(work: Work, job_id: str) -> Job:
    """Return a job that the caller knows to exist."""
    return built(work.connection.execute(_BY_ID, {"job_id": job_id}).one())


def find(work: Work, *, project_id: str, job_id: str, lock: bool = False) -> Job | None:
    """Return the project's job of an id; with ``lock`` it cannot change until the work ends."""
    query = _OF_PROJECT_LOCKED if lock else _OF_PROJECT
    row = work.connection.execute(query, {"project_id": project_id, "job_id": job_id}).first()
    return built(row) if row else None


def held(work: Work, *, job_id: str, fence: int) -> Job:
    """Return and lock the job that the claim numbered ``fence`` holds.

    Raises:
        LostLeaseError: that claim holds it no longer, or never did.
    """
    row = work.connection.execute(_HELD, {"job_id": job_id, "fence": fence}).first()
    if row is None:
        raise LostLeaseError("this claim holds the job no longer")
    return built(row)


def page(
    work: Work,
    *,
    project_id: str,
    model_id: str | None,
    state: JobState | None,
    cursor: Cursor,
    kind: JobKind | None = None,
) -> Page[Job]:
    """Return the project's jobs, or those of one model, state or kind."""
    asked = {"project_id": project_id, "model_id": model_id, "state": state, "kind": kind}
    given = {name: value for name, value in asked.items() if value is not None}
    return fetch(work, _listed(frozenset(given)), JOB, cursor=cursor, build=built, **given)


@cache
def _listed(given: frozenset[str]) -> Select[Any]:
    return ROWS.where(*(JOB.c[name] == bindparam(name) for name in sorted(given)))


def by_id(work: Work, job_ids: Collection[str]) -> dict[str, Job]:
    """Return some jobs by their ids."""
    return {row.id: built(row) for row in work.connection.execute(ROWS.where(JOB.c.id.in_(job_ids)))}


def any_open(work: Work, *, model_id: str | None = None, task_id: str | None = None) -> bool:
    """Return whether a job of the model, or of the task, is not over."""
    scope = JOB.c.model_id == model_id if model_id is not None else JOB.c.task_id == task_id
    query = select(JOB.c.id).where(scope, JOB.c.state.in_(sorted(OPEN)))
    return work.connection.execute(query.limit(1)).first() is not None


def count_open(work: Work, *, project_id: str) -> int:
    """Return how many of the project's jobs are not over."""
    query = select(func.count()).where(JOB.c.project_id == project_id, JOB.c.state.in_(sorted(OPEN)))
    return int(work.connection.execute(query).scalar_one())


def any_running(work: Work, *, model_id: str) -> bool:
    """Return whether a job of the model runs."""
    query = select(JOB.c.id).where(JOB.c.model_id == model_id, JOB.c.state == JobState.RUNNING)
    return work.connection.execute(query.limit(1)).first() is not None


def states_by_id(work: Work, job_ids: Collection[str]) -> dict[str, tuple[JobState, str | None]]:
    """Return state and model of some jobs, whatever their project, by their ids."""
    query = select(JOB.c.id, JOB.c.state, JOB.c.model_id).where(JOB.c.id.in_(job_ids))
    return {row.id: (JobState(row.state), row.model_id) for row in work.connection.execute(query)}


def any_starting_from(work: Work, version_id: str) -> bool:
    """Return whether a job that is not over started from a version, or insists on it."""
    scope = or_(JOB.c.parent_version_id == version_id, JOB.c.expected_parent == version_id)
    query = select(JOB.c.id).where(scope, JOB.c.state.in_(sorted(OPEN)))
    return work.connection.execute(query.limit(1)).first() is not None


def count_running(work: Work, *, project_id: str) -> int:
    """Return how many of the project's jobs run."""
    query = select(func.count()).where(JOB.c.project_id == project_id, JOB.c.state == JobState.RUNNING)
    return int(work.connection.execute(query).scalar_one())


def finished_on_base(
    work: Work, *, project_id: str, base_model_id: str, limit: int = FINISHED_JOBS
) -> tuple[FinishedJob, ...]:
    """Return the project's latest `train` jobs on a base model that succeeded at their first claim."""
    query = (
        select(JOB.c.task_id, JOB.c.params, ((JOB.c.finished_ms - JOB.c.started_ms) / 1000.0).label("seconds"))
        .join(MODEL, MODEL.c.id == JOB.c.model_id)
        .where(JOB.c.project_id == project_id, MODEL.c.base_model_id == base_model_id, JOB.c.claims == 1)
        .where(JOB.c.kind == JobKind.TRAIN, JOB.c.state == JobState.SUCCEEDED)
        .order_by(JOB.c.id.desc())
        .limit(limit)
    )
    rows = work.connection.execute(query)
    return tuple(FinishedJob(task_id=row.task_id, params=row.params, seconds=float(row.seconds)) for row in rows)


def change(work: Work, job: Job, **values: Any) -> Job:
    """Set columns of a job that stays in its state, by compare-and-swap on state and fence."""
    asked = {"old_id": job.id, "old_state": job.state, "old_fence": job.fence}
    asked |= {f"new_{name}": value for name, value in values.items()}
    row = work.connection.execute(_swap(frozenset(values)), asked).first()
    if row is None:
        raise _overtaken(job)
    return built(row)


def move(
    work: Work,
    job: Job,
    *,
    to: JobState,
    actor: str,
    changes: Mapping[str, Any] | None = None,
    data: Json | None = None,
) -> Job:
    """Change a job's state: the table of moves allows it, the row is still as ``job`` says, and an event tells it.

    Raises:
        IllegalMoveError: there is no such move.
        LostLeaseError: another claim was faster; ConflictError: another caller was.
    """
    values: dict[str, Any] = {"state": advance(job.state, to=to), **(changes or {})}
    if to is not JobState.RUNNING:
        values |= {"owner": None, "lease_ms": None, "eta_seconds": None, "pause_requested": False}
    if to in TERMINAL:
        values["finished_ms"] = work.now_ms()
    moved = change(work, job, **values)
    events.append(
        work,
        subject_id=job.id,
        project_id=job.project_id,
        kind=events.STATE,
        actor=actor,
        moved=(job.state, to),
        fence=moved.fence,
        data=data,
    )
    job_counts.note_move(work, job, moved)
    return moved


@cache
def _swap(names: frozenset[str]) -> ReturningUpdate[Any]:
    """Return the statement that sets the columns of these names; there are as many as ways in which jobs change."""
    is_the_same = (
        JOB.c.id == bindparam("old_id"),
        JOB.c.state == bindparam("old_state"),
        JOB.c.fence.is_not_distinct_from(bindparam("old_fence", type_=JOB.c.fence.type)),
    )
    new = {name: bindparam(f"new_{name}", type_=JOB.c[name].type) for name in sorted(names)}
    return update(JOB).where(*is_the_same).values(new).returning(*columns(JOB, Job))


def _overtaken(job: Job) -> LostLeaseError | ConflictError:
    if job.state is JobState.RUNNING:
        return LostLeaseError("this claim holds the job no longer")
    return ConflictError("the job changed at the same moment; look again", code="wrong_state")
