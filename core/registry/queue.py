"""What may be claimed, and what was abandoned."""

from sqlalchemy import Select, and_, exists, literal, not_, or_, select, text

from core.domain.jobs import ACTIVE, JobState
from core.domain.records import Job
from core.registry.columns import quoted
from core.registry.jobs import ROWS, built
from core.registry.tables import JOB
from core.registry.work import Work

_OTHER = JOB.alias("other")
# Written out, not bound: a partial index is used only where the planner sees its very condition.
_QUEUED = literal(JobState.QUEUED.value, literal_execute=True)
_RUNNING = literal(JobState.RUNNING.value, literal_execute=True)


def candidates() -> Select[tuple[object, ...]]:
    """Select the oldest queued job whose model is free: none of its jobs is active, and none is ahead in its line."""
    busy = exists(
        select(_OTHER.c.id).where(_OTHER.c.model_id == JOB.c.model_id, text(f"other.state IN ({quoted(ACTIVE)})")),
    )
    ahead = exists(
        select(_OTHER.c.id).where(
            _OTHER.c.model_id == JOB.c.model_id, _OTHER.c.state == _QUEUED, _OTHER.c.seq < JOB.c.seq
        ),
    )
    free = or_(JOB.c.model_id.is_(None), and_(not_(busy), not_(ahead)))
    return (
        ROWS.where(JOB.c.state == _QUEUED, free)
        .order_by(JOB.c.created_ms, JOB.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=JOB)
    )


def next_job(work: Work) -> Job | None:
    """Return and lock the job to claim next; another claimer passes over it meanwhile."""
    row = work.connection.execute(candidates()).first()
    return built(row) if row else None


def abandoned(work: Work) -> tuple[Job, ...]:
    """Return and lock the running jobs whose lease ran out."""
    query = ROWS.where(JOB.c.state == _RUNNING, JOB.c.lease_ms < work.now_ms()).order_by(JOB.c.id)
    rows = work.connection.execute(query.with_for_update(skip_locked=True))
    return tuple(built(row) for row in rows)
