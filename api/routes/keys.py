"""`/v1/keys`: who may come in."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api import bodies
from api.dependencies import Ctx, Named, Paging, Project
from api.schemas.base import ListView, listed, timestamp, timestamp_or_none
from api.schemas.keys import KeyRequest, KeyView, NewKeyView
from api.schemas.models import DeletedView
from core.domain.access import Scope
from core.domain.records import ApiKey
from core.services import keys

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201, openapi_extra=bodies.described(KeyRequest))
def create(
    body: Annotated[KeyRequest, Depends(bodies.json_body(KeyRequest))],
    context: Ctx,
    project: Project,
) -> NewKeyView:
    """Make a key of the caller's project; this answer is the only one that shows it."""
    with context.registry.write() as work:
        made, key = keys.create(
            work,
            project_id=project,
            name=body.name,
            scopes=body.scopes,
            expires_in_seconds=body.expires_in_seconds,
        )
    return NewKeyView(**view(made).model_dump(), key=key)


@router.get("")
def page(context: Ctx, project: Project, paging: Paging) -> ListView[KeyView]:
    """List the project's keys but for the revoked ones."""
    with context.registry.read() as work:
        found = keys.page(work, project_id=project, limit=paging.limit, after=paging.after, order=paging.order)
    rows = [view(row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.delete("/{key_id}")
def revoke(key_id: Named, context: Ctx, project: Project) -> DeletedView:
    """Revoke a key: from now on it opens nothing."""
    with context.registry.write() as work:
        row = keys.revoke(work, project_id=project, key_id=key_id)
    return DeletedView(id=row.id, object="key")


def view(row: ApiKey) -> KeyView:
    """Show what is known of a key."""
    return KeyView(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        hint=row.hint,
        scopes=[Scope(scope) for scope in row.scopes],
        created_at=timestamp(row.created_ms),
        expires_at=timestamp_or_none(row.expires_ms),
        last_used_at=timestamp_or_none(row.last_used_ms),
    )
