"""`/v1/events`: who changed what in the project."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.dependencies import Ctx, Paging, Project
from api.schemas.base import ListView, listed, timestamp
from api.schemas.events import ChangeView
from core.domain.records import Event
from core.services import audit

router = APIRouter(prefix="/v1/events", tags=["events"])

_WORD: Final = r"^[A-Za-z0-9][A-Za-z0-9@:._-]*$"
Subject = Annotated[
    str | None, Query(max_length=64, pattern=_WORD, description="Only changes of the thing of this id.")
]
Actor = Annotated[
    str | None, Query(max_length=255, pattern=_WORD, description="Only changes by this key's id or name.")
]


@router.get("")
def page(
    context: Ctx, project: Project, paging: Paging, subject: Subject = None, actor: Actor = None
) -> ListView[ChangeView]:
    """List the changes in the caller's project, newest first."""
    with context.registry.read() as work:
        found = audit.page(
            work,
            project_id=project,
            subject_id=subject,
            actor=actor,
            limit=paging.limit,
            after=paging.after,
            order=paging.order,
        )
    rows = [_view(row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


def _view(row: Event) -> ChangeView:
    before, after = (row.from_state, row.to_state) if row.to_state else (row.data.get("from"), row.data.get("to"))
    return ChangeView.model_validate(
        {
            "id": row.id,
            "at": timestamp(row.at_ms),
            "actor": row.actor,
            "subject_id": row.subject_id,
            "kind": row.kind,
            "from": before,
            "to": after,
            "data": dict(row.data),
        },
    )
