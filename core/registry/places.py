"""Where queued jobs stand: how many jobs of their own project come before them.

Those are the queued ones that are older, but not those behind a paused job, which let everybody pass; and of its own line
all that wait before it in any case. Other projects' jobs are not counted: how much others have to do is not told, not
even as a number.

Where many are asked for, each counts on from the one before it: the queue is walked once, not once a job.
"""

from collections.abc import Collection
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    text,
)

from core.domain.jobs import IN_LINE, JobState
from core.registry.columns import quoted
from core.registry.tables import JOB
from core.registry.work import Work

# Written out, not bound: a partial index is used only where the planner sees its very condition.
_QUEUED = literal(JobState.QUEUED.value, literal_execute=True)
_PAUSED = literal(JobState.PAUSED.value, literal_execute=True)
_BEFORE: Final = JOB.alias("before")
_STANDS_IN_LINE: Final[Any] = text(f"before.state IN ({quoted(IN_LINE)})")


def ahead(work: Work, job_ids: Collection[str]) -> dict[str, int]:
    """Return by its id how many jobs stand before each of these, all of one project, that is queued."""
    if not job_ids:
        return {}
    rows = work.connection.execute(_AHEAD, {"job_ids": [*job_ids]}).all()
    older = accumulate(int(row.since_the_last) for row in rows)
    return {row.id: total + int(row.besides) for row, total in zip(rows, older, strict=True)}


def _ahead() -> Select[Any]:
    """Select the asked jobs that are queued, by age: how many are older ``since_the_last``, and what adds to that."""
    asked = _asked()
    # What is added to the id keeps planners from reading all that the project ever had.
    queued = and_(_BEFORE.c.project_id + "" == asked.c.project_id, _BEFORE.c.state == _QUEUED)
    earlier = _BEFORE.c.created_ms < asked.c.created_ms
    at_once = and_(_BEFORE.c.created_ms == asked.c.created_ms, _BEFORE.c.id < asked.c.id)
    since_the_last = _count(asked, queued, earlier, _BEFORE.c.created_ms >= func.coalesce(asked.c.last_ms, 0))
    paused = _first_paused(asked)
    behind_it = and_(_BEFORE.c.model_id == paused.c.model_id, _BEFORE.c.seq > paused.c.seq)
    passed = _count(asked, queued, or_(earlier, at_once), behind_it, _STANDS_IN_LINE)
    from_it_on = and_(_BEFORE.c.model_id == paused.c.model_id, _BEFORE.c.seq >= paused.c.seq)
    own = and_(_BEFORE.c.model_id == asked.c.model_id, _BEFORE.c.seq < asked.c.seq)
    held_up_with_it = _count(asked, own, from_it_on, _STANDS_IN_LINE)
    besides = _count(asked, queued, at_once) - passed + held_up_with_it
    query = select(asked.c.id, since_the_last.label("since_the_last"), besides.label("besides"))
    return query.order_by(asked.c.created_ms, asked.c.id)


def _asked() -> CTE:
    """Select the asked jobs that are queued, each with the moment of the one before it."""
    last_ms = func.lag(JOB.c.created_ms).over(order_by=(JOB.c.created_ms, JOB.c.id)).label("last_ms")
    query = select(JOB.c.id, JOB.c.project_id, JOB.c.model_id, JOB.c.seq, JOB.c.created_ms, last_ms)
    return query.where(JOB.c.id.in_(bindparam("job_ids", expanding=True)), JOB.c.state == _QUEUED).cte("asked")


def _first_paused(asked: CTE) -> CTE:
    """Select the lines that are held up, of which there are few, and where."""
    mine = select(asked.c.project_id)
    lines = select(JOB.c.model_id, func.min(JOB.c.seq).label("seq"))
    return lines.where(JOB.c.state == _PAUSED, JOB.c.project_id.in_(mine)).group_by(JOB.c.model_id).cte("paused")


def _count(asked: CTE, *match: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).where(*match).correlate(asked).scalar_subquery()


# Building it takes longer than running it.
_AHEAD: Final = _ahead()
