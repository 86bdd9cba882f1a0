"""Who changed what: the project's events across all its subjects."""

from core.domain.records import Event, Page
from core.registry import events
from core.registry.pages import Cursor, Order
from core.registry.work import Work


def page(  # noqa: PLR0913 - filters and a cursor
    work: Work,
    *,
    project_id: str,
    subject_id: str | None = None,
    actor: str | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Event]:
    """Return the project's changes, or those of one subject (an id) or by one actor (a key's id, or another name).

    Steps, phases and checkpoints that trainers report are not among them: a job's own events hold those.
    """
    return events.changes(
        work, project_id=project_id, subject_id=subject_id, actor=actor, cursor=Cursor(limit, after, order)
    )
