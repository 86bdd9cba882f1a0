"""Rows of `event`: what happened to a subject, numbered from 1.

Append after the subject's own row was written, which locks it: then no two works can take the same number.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import Insert, Row, Select, bindparam, func, insert, select, text

from core.domain.identifiers import id_at
from core.domain.records import Event, Json, Page
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import CHANGES, EVENT
from core.registry.work import Work

# The kind of an event that changes a state; replaying these gives the subject's state.
STATE: Final = "state"
_ROWS = select(*columns(EVENT, Event))
_HISTORY: Final = _ROWS.where(EVENT.c.subject_id == bindparam("subject_id"))


def _append() -> Insert:
    given = {
        column.name: bindparam(f"new_{column.name}", type_=column.type) for column in EVENT.c if column.name != "n"
    }
    last = select(func.coalesce(func.max(EVENT.c.n), 0)).where(EVENT.c.subject_id == given["subject_id"])
    return insert(EVENT).values(n=last.scalar_subquery() + 1, **given)


# Building it takes longer than running it.
_APPEND: Final = _append()


def _built(row: Row[Any]) -> Event:
    return Event(**row._asdict())


def append(  # noqa: PLR0913 - one argument a column
    work: Work,
    *,
    subject_id: str,
    project_id: str,
    kind: str,
    actor: str,
    moved: tuple[str | None, str] | None = None,
    fence: int | None = None,
    data: Json | None = None,
) -> None:
    """Add the subject's next event; ``moved`` is its state before and after."""
    before, after = moved or (None, None)
    event = {
        "id": id_at("evt", ms=work.now_ms(), turn=work.next_turn()),
        "subject_id": subject_id,
        "project_id": project_id,
        "at_ms": work.now_ms(),
        "kind": kind,
        "from_state": before,
        "to_state": after,
        "fence": fence,
        "actor": actor,
        "data": dict(data or {}),
    }
    work.connection.execute(_APPEND, {f"new_{name}": value for name, value in event.items()})


def page(work: Work, *, subject_id: str, after: int, limit: int) -> Page[Event]:
    """Return the subject's events numbered above ``after``, oldest first."""
    query = _ROWS.where(EVENT.c.subject_id == subject_id, EVENT.c.n > after).order_by(EVENT.c.n).limit(limit + 1)
    rows = work.connection.execute(query).all()
    return Page(data=tuple(_built(row) for row in rows[:limit]), has_more=len(rows) > limit)


def history(work: Work, *, subject_id: str, cursor: Cursor) -> Page[Event]:
    """Return the subject's events by their ids, in the cursor's order."""
    return fetch(work, _HISTORY, EVENT, cursor=cursor, build=_built, subject_id=subject_id)


def changes(work: Work, *, project_id: str, subject_id: str | None, actor: str | None, cursor: Cursor) -> Page[Event]:
    """Return what was changed in a project, to one subject or by one actor, but not what trainers report."""
    asked = {"project_id": project_id, "subject_id": subject_id, "actor": actor}
    given = {name: value for name, value in asked.items() if value is not None}
    return fetch(work, _changes(frozenset(given)), EVENT, cursor=cursor, build=_built, **given)


@cache
def _changes(given: frozenset[str]) -> Select[Any]:
    return _ROWS.where(text(CHANGES), *(EVENT.c[name] == bindparam(name) for name in sorted(given)))


def last_ms(work: Work, *, subject_id: str, kind: str) -> int | None:
    """Return when the subject's latest event of a kind happened."""
    query = select(EVENT.c.at_ms).where(EVENT.c.subject_id == subject_id, EVENT.c.kind == kind)
    # Backwards by number: what is asked for again and again happened not long ago.
    return work.connection.execute(query.order_by(EVENT.c.n.desc()).limit(1)).scalar_one_or_none()
