"""`/v1/models`: what learns."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from api import bodies, views
from api.dependencies import Ctx, Named, Paging, Project
from api.idempotency import OnceOnly, answer, content_of
from api.schemas.base import ListView, listed
from api.schemas.models import DeletedView, ModelRequest, ModelView
from core.learning.recipe import TaskSpec
from core.registry.work import Work
from core.services import models
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.post("", status_code=201, response_model=ModelView, openapi_extra=bodies.described(ModelRequest))
def create(
    body: Annotated[ModelRequest, Depends(bodies.json_body(ModelRequest))], project: Project, once: OnceOnly
) -> Response:
    """Create a model; it answers at once, as its base model does."""

    def change(work: Work) -> Answer:
        row = models.create(
            work,
            project_id=project,
            name=body.name,
            base_model=body.base_model,
            method=_method(body),
            policy=body.policy,
        )
        return answer(201, views.model(work, row), {"Location": f"/v1/models/{row.id}"})

    return once.perform(change, content=content_of(body))


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
