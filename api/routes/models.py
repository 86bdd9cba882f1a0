"""`/v1/models`: what learns."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response

from api import bodies, views
from api.dependencies import After, ByTime, Ctx, Cursor, Named, Project, Whole
from api.idempotency import OnceOnly, answer, content_of
from api.schemas.base import ListView, listed
from api.schemas.models import DeletedView, ModelChanges, ModelRequest, ModelVersionView, ModelView
from core.domain.records import Version
from core.learning.recipe import TaskSpec
from core.registry.work import Work
from core.services import models, promotions, versions
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/models", tags=["models"])

_MOST: Final = 100


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


async def _page_of_models(
    limit: Annotated[Whole, Query(ge=1, le=_MOST, description="Rows of one page.")] = _MOST,
    after: After = None,
    order: ByTime = "desc",
) -> Cursor:
    # As much as there may be, unasked: OpenAI's clients ask for no second page of models.
    return Cursor(limit, after, order)


@router.get("")
def page(context: Ctx, project: Project, paging: Annotated[Cursor, Depends(_page_of_models)]) -> ListView[ModelView]:
    """List the project's models."""
    with context.registry.read() as work:
        found = models.page(work, project_id=project, limit=paging.limit, after=paging.after, order=paging.order)
        rows = [views.model(work, row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/{model}")
def get(model: Named, context: Ctx, project: Project) -> ModelView | ModelVersionView:
    """Show one model, by name or id; by `name@3`, `name:alias` or a version's id, that version of it."""
    with context.registry.read() as work:
        if versions.is_reference(model):
            return _version(work, versions.resolve(work, project_id=project, reference=model))
        return views.model(work, models.get(work, project_id=project, reference=model))


@router.patch("/{model}", openapi_extra=bodies.described(ModelChanges))
def change(
    model: Named,
    body: Annotated[ModelChanges, Depends(bodies.json_body(ModelChanges))],
    context: Ctx,
    project: Project,
) -> ModelView:
    """Change what the model's versions must show; it holds for jobs that end from now on."""
    with context.registry.write() as work:
        row = models.change_gate(work, project_id=project, reference=model, gate=body.policy.gate)
        return views.model(work, row)


@router.delete("/{model}")
def delete(model: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete a model: it serves no more, and its name is free again. A version of one is deleted by itself."""
    with context.registry.write() as work:
        if versions.is_reference(model):
            shown = _version(work, versions.resolve(work, project_id=project, reference=model))
            promotions.delete(work, project_id=project, reference=shown.version_id)
            return DeletedView(id=shown.id, object="model")
        row = models.get(work, project_id=project, reference=model)
        models.delete(work, project_id=project, reference=row.id)
    return DeletedView(id=row.id, object="model")


def _version(work: Work, row: Version) -> ModelVersionView:
    owner = models.get(work, project_id=row.project_id, reference=row.model_id)
    return ModelVersionView(
        id=f"{owner.name}@{row.number}",
        created=row.created_ms // 1000,
        owned_by=row.project_id,
        version_id=row.id,
        model_id=row.model_id,
    )


def _method(body: ModelRequest) -> dict[str, Any] | str | None:
    if isinstance(body.method, TaskSpec):
        return body.method.model_dump(mode="json", exclude_unset=True)
    return body.method
