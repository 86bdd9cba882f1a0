"""Where queued jobs stand: how many jobs of their own project come before them.

Those are all that wait in a job's own line before it, and, of other lines, the queued ones that are older; but not those
behind a paused job, which let everybody pass. Other projects' jobs are not counted: how much others have to do is not
told, not even as a number.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from core.domain.jobs import IN_LINE, JobState
from core.registry.columns import quoted
from core.registry.tables import JOB
from core.registry.work import Work

# Written out, not bound: a partial index is used only where the planner sees its very condition.
_QUEUED = literal(JobState.QUEUED.value, literal_execute=True)
_PAUSED = literal(JobState.PAUSED.value, literal_execute=True)


def ahead(work: Work, job_ids: Collection[str]) -> dict[str, int]:
    """Return by its id how many jobs stand before each of these that is queued."""
    if not job_ids:
        return {}
    return {row.id: int(row.ahead) for row in work.connection.execute(_AHEAD, {"job_ids": [*job_ids]})}


def _ahead() -> Select[Any]:
    mine = JOB.alias("mine")
    before = JOB.alias("before")
    in_line = and_(
        before.c.model_id == mine.c.model_id,
        before.c.seq < mine.c.seq,
        text(f"before.state IN ({quoted(IN_LINE)})"),
    )
    elsewhere = and_(
        before.c.project_id == mine.c.project_id,
        before.c.state == _QUEUED,
        tuple_(before.c.created_ms, before.c.id) < tuple_(mine.c.created_ms, mine.c.id),
        before.c.model_id.is_distinct_from(mine.c.model_id),
        _moves(before),
    )
    total = _count(before, mine, in_line) + _count(before, mine, elsewhere)
    query = select(mine.c.id, total.label("ahead"))
    return query.where(mine.c.id.in_(bindparam("job_ids", expanding=True)), mine.c.state == _QUEUED)


def _moves(before: Any) -> ColumnElement[bool]:
    """Say whether no paused job holds a job's line up; few lines have one, and they are found once for all."""
    paused, held = JOB.alias("paused"), JOB.alias("held")
    lines = select(paused.c.model_id).where(paused.c.state == _PAUSED, paused.c.model_id.is_not(None))
    holds = select(held.c.id).where(
        held.c.model_id == before.c.model_id, held.c.state == _PAUSED, held.c.seq < before.c.seq
    )
    return or_(before.c.model_id.is_(None), before.c.model_id.not_in(lines), ~exists(holds.correlate(before)))


def _count(before: Any, mine: Any, match: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(before).where(match).correlate(mine).scalar_subquery()


# Building it takes longer than running it.
_AHEAD: Final = _ahead()
