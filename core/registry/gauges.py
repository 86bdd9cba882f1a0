"""How the queue and the running jobs stand at this moment: probes of indexes, whose cost no history makes grow."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal, select, text

from core.domain.jobs import IN_LINE, JobKind, JobState
from core.domain.records import Job
from core.registry.columns import quoted
from core.registry.jobs import ROWS, built
from core.registry.measure_tables import METRIC
from core.registry.tables import JOB
from core.registry.work import Work

# Written out, not bound: a partial index is used only where the planner sees its very condition.
_QUEUED = literal(JobState.QUEUED.value, literal_execute=True)
_RUNNING = literal(JobState.RUNNING.value, literal_execute=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Open jobs; ``oldest_queued_ms`` is when the oldest queued one was made, None without any."""

    queued: int
    paused: int
    running: int
    overdue: int
    oldest_queued_ms: int | None


def queue(work: Work) -> Queue:
    """Return how many jobs are open, and of how many of them the lease ran out."""
    jobs = select(func.count()).select_from(JOB)
    queued = _number(work, jobs.where(JOB.c.state == _QUEUED, JOB.c.created_ms > 0))
    alone = _number(work, jobs.where(JOB.c.state == _QUEUED, JOB.c.model_id.is_(None)))
    in_line = _number(work, jobs.where(text(f"state IN ({quoted(IN_LINE)})"), JOB.c.model_id > ""))
    running = jobs.where(JOB.c.state == _RUNNING)
    oldest = select(func.min(JOB.c.created_ms)).where(JOB.c.state == _QUEUED)
    return Queue(
        queued=queued,
        paused=in_line - (queued - alone),
        running=_number(work, running),
        overdue=_number(work, running.where(JOB.c.lease_ms < work.now_ms())),
        oldest_queued_ms=work.connection.execute(oldest).scalar_one(),
    )


def running(work: Work, *, kind: JobKind, limit: int) -> tuple[Job, ...]:
    """Return running jobs of a kind, the one that beat last at the end."""
    query = ROWS.where(JOB.c.state == _RUNNING, JOB.c.kind == kind).order_by(JOB.c.lease_ms).limit(limit)
    return tuple(built(row) for row in work.connection.execute(query))


def last_value(work: Work, job_id: str, *, series: str) -> float | None:
    """Return the latest point of one of the job's curves."""
    query = select(METRIC.c.value).where(METRIC.c.job_id == job_id, METRIC.c.series == series)
    return work.connection.execute(query.order_by(METRIC.c.step.desc()).limit(1)).scalar_one_or_none()


def _number(work: Work, query: Select[Any]) -> int:
    return int(work.connection.execute(query).scalar_one())
