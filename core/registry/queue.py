"""What may be claimed, and what was abandoned.

A model's line is its queued and paused jobs by `seq`; only its head can be claimed, and only while no job of the model
runs. The claim first looks at the few oldest jobs, which is enough where many models wait. Where none of those can run,
since they stand behind others of their model, it looks at the heads alone, one probe of an index a line: it costs the
same however long the lines are.
"""

from typing import Final

from sqlalchemy import (
    CTE,
    CompoundSelect,
    ScalarSelect,
    Select,
    TextClause,
    exists,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from core.domain.jobs import IN_LINE, JobState
from core.domain.records import Job
from core.registry.columns import quoted
from core.registry.jobs import ROWS, built
from core.registry.tables import JOB
from core.registry.work import Work

FEW: Final = 64
# Written out, not bound: a partial index is used only where the planner sees its very condition.
_QUEUED = literal(JobState.QUEUED.value, literal_execute=True)
_RUNNING = literal(JobState.RUNNING.value, literal_execute=True)


def next_job(work: Work) -> Job | None:
    """Return and lock the job to claim next; another claimer passes over it meanwhile."""
    row = work.connection.execute(OLDEST).first() or work.connection.execute(CANDIDATES).first()
    return built(row) if row else None


def abandoned(work: Work) -> tuple[Job, ...]:
    """Return and lock the running jobs whose lease ran out."""
    query = ROWS.where(JOB.c.state == _RUNNING, JOB.c.lease_ms < work.now_ms()).order_by(JOB.c.id)
    rows = work.connection.execute(query.with_for_update(skip_locked=True))
    return tuple(built(row) for row in rows)


def trim_leases(work: Work, *, latest_ms: int) -> None:
    """Let no lease of a running job end after ``latest_ms``."""
    late = (JOB.c.state == _RUNNING, JOB.c.lease_ms > latest_ms)
    work.connection.execute(update(JOB).where(*late).values(lease_ms=latest_ms))


def _oldest() -> Select[tuple[object, ...]]:
    """Select the oldest job that may be claimed, if it is among the few oldest."""
    queued = select(JOB.c.id, JOB.c.model_id, JOB.c.seq).where(JOB.c.state == _QUEUED)
    few = queued.order_by(JOB.c.created_ms, JOB.c.id).limit(FEW).subquery("few")
    busy, earlier = JOB.alias("busy"), JOB.alias("earlier")
    runs = exists(select(busy.c.id).where(busy.c.model_id == few.c.model_id, busy.c.state == _RUNNING))
    waits = exists(
        select(earlier.c.id).where(
            earlier.c.model_id == few.c.model_id, earlier.c.seq < few.c.seq, _stands_in_line("earlier")
        )
    )
    return _first(select(few.c.id).where(~runs, ~waits))


def _first(ids: Select[tuple[str]] | CompoundSelect[tuple[str]]) -> Select[tuple[object, ...]]:
    return (
        ROWS.where(JOB.c.id.in_(ids), JOB.c.state == _QUEUED)
        # The sum keeps planners from walking all that is queued by age, instead of sorting these few.
        .order_by(JOB.c.created_ms + 0, JOB.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=JOB)
    )


def _lines() -> CTE:
    """Select every model that has a line, each found from the one before it; the last row is null."""
    lines = select(_first_model_after(None).label("model_id")).cte("line", recursive=True)
    return lines.union_all(select(_first_model_after(lines)).where(lines.c.model_id.is_not(None)))


def _first_model_after(lines: FromClause | None) -> ScalarSelect[str]:
    following = JOB.alias("following")
    behind = following.c.model_id.is_not(None) if lines is None else following.c.model_id > lines.c.model_id
    query = select(following.c.model_id).where(_stands_in_line("following"), behind)
    query = query.order_by(following.c.model_id).limit(1)
    return (query if lines is None else query.correlate(lines)).scalar_subquery()


def _head_of(lines: FromClause) -> ScalarSelect[str]:
    head = JOB.alias("head")
    query = select(head.c.id).where(head.c.model_id == lines.c.model_id, _stands_in_line("head"))
    return query.order_by(head.c.seq).limit(1).correlate(lines).scalar_subquery()


def _stands_in_line(alias: str) -> TextClause:
    return text(f"{alias}.state IN ({quoted(IN_LINE)})")


def _candidates() -> Select[tuple[object, ...]]:
    """Select the oldest job that may be claimed: it heads the line of a model of which no job runs, or has no model."""
    lines = _lines()
    busy = JOB.alias("busy")
    runs = exists(select(busy.c.id).where(busy.c.model_id == lines.c.model_id, busy.c.state == _RUNNING))
    heads = select(_head_of(lines).label("id")).where(lines.c.model_id.is_not(None), ~runs)
    alone = JOB.alias("alone")
    modelless = select(alone.c.id).where(alone.c.state == _QUEUED, alone.c.model_id.is_(None))
    return _first(union_all(heads, modelless))


# Building them takes longer than running them.
OLDEST: Final = _oldest()
CANDIDATES: Final = _candidates()
