"""`/v1/models`: what learns."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api import bodies, views
from api.dependencies import Ctx, Named, Paging, Project
from api.schemas.base import ListView, listed
from api.schemas.models import DeletedView, ModelRequest, ModelView
from core.learning.recipe import TaskSpec
from core.services import models

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.post("", status_code=201, openapi_extra=bodies.described(ModelRequest))
def create(
    body: Annotated[ModelRequest, Depends(bodies.json_body(ModelRequest))], context: Ctx, project: Project
) -> ModelView:
    """Create a model; it answers at once, as its base model does."""
    with context.registry.write() as work:
        row = models.create(
            work,
            project_id=project,
            name=body.name,
            base_model=body.base_model,
            method=_method(body),
            policy=body.policy,
        )
        return views.model(work, row)


@router.get("")
def page(context: Ctx, project: Project, paging: Paging) -> ListView[ModelView]:
    """List the project's models."""
    with context.registry.read() as work:
        found = models.page(work, project_id=project, limit=paging.limit, after=paging.after, order=paging.order)
        rows = [views.model(work, row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/{model}")
def get(model: Named, context: Ctx, project: Project) -> ModelView:
    """Show one model, by name or id."""
    with context.registry.read() as work:
        return views.model(work, models.get(work, project_id=project, reference=model))


@router.delete("/{model}")
def delete(model: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete a model: it serves no more, and its name is free again."""
    with context.registry.write() as work:
        row = models.get(work, project_id=project, reference=model)
        models.delete(work, project_id=project, reference=row.id)
    return DeletedView(id=row.id, object="model")


def _method(body: ModelRequest) -> dict[str, Any] | str | None:
    if isinstance(body.method, TaskSpec):
        return body.method.model_dump(mode="json", exclude_unset=True)
    return body.method
