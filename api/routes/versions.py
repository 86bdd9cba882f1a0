"""Versions of a model: what was learned, from what, under which names, and how well."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import bodies, views
from api.dependencies import BaseUrl, Ctx, Named, Paging, Project
from api.idempotency import OnceOnly, answer, content_of
from api.schemas.base import ListView, listed
from api.schemas.models import DeletedView
from api.schemas.tasks import JobView
from api.schemas.versions import (
    LineageEntryView,
    LineageView,
    MatrixView,
    RebuildRequest,
    VersionScoresView,
    VersionView,
)
from core.domain.records import Version
from core.registry.work import Work
from core.services import comparisons, evaluations, models, promotions, rebuilds, versions
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1", tags=["versions"])


@router.get("/versions/{version}")
def get(version: Named, context: Ctx, project: Project) -> VersionView:
    """Show one version, by its id, `name@3` or `name:alias`."""
    with context.registry.read() as work:
        return _view(work, versions.resolve(work, project_id=project, reference=version))


@router.delete("/versions/{version}")
def delete(version: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete a version that no alias, version or open job needs; its number is not given again."""
    with context.registry.write() as work:
        row = promotions.delete(work, project_id=project, reference=version)
    return DeletedView(id=row.id, object="version")


@router.get("/models/{model}/versions")
def page(model: Named, context: Ctx, project: Project, paging: Paging) -> ListView[VersionView]:
    """List a model's versions."""
    with context.registry.read() as work:
        found = versions.page(
            work, project_id=project, model=model, limit=paging.limit, after=paging.after, order=paging.order
        )
        rows = [_view(work, row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.post(
    "/models/{model}/versions", status_code=202, response_model=JobView, openapi_extra=bodies.described(RebuildRequest)
)
def rebuild(
    body: Annotated[RebuildRequest, Depends(bodies.json_body(RebuildRequest))],
    model: Named,
    context: Ctx,
    project: Project,
    base_url: BaseUrl,
    once: OnceOnly,
) -> Response:
    """Leave tasks out: queue a job that builds a version of the other tasks' deltas and says what that changed."""

    def change(work: Work) -> Answer:
        request = rebuilds.RebuildRequest(model=model, **body.model_dump())
        row = rebuilds.submit(work, project_id=project, request=request, dispatcher=context.dispatcher)
        return answer(202, views.job(context, work, row, base_url=base_url), {"Location": f"/v1/jobs/{row.id}"})

    return once.perform(change, content=content_of(body))


@router.get("/models/{model}/lineage")
def lineage(model: Named, context: Ctx, project: Project) -> LineageView:
    """Show the graph of a model's versions and tasks."""
    with context.registry.read() as work:
        row = models.get(work, project_id=project, reference=model)
        entries = versions.lineage(work, project_id=project, model=row.id)
    return LineageView(
        model_id=row.id,
        data=[
            LineageEntryView(
                version_id=entry.version.id,
                name=f"{row.name}@{entry.version.number}",
                state=entry.version.state,
                parent_id=entry.version.parent_id,
                task_id=entry.version.task_id,
                task=entry.task_name,
                aliases=list(entry.aliases),
            )
            for entry in entries
        ],
    )


@router.get("/models/{model}/evaluations")
def matrix(model: Named, context: Ctx, project: Project) -> MatrixView:
    """Show the score matrix of a model's lineage, with intervals, and the figures of continual learning."""
    with context.registry.read() as work:
        found = evaluations.matrix(work, project_id=project, model=model)
    return MatrixView.model_validate(asdict(found))


@router.get("/versions/{version}/evaluations")
def scores(
    version: Named,
    context: Ctx,
    project: Project,
    against: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Another version of the model, to compare with row by row."),
    ] = None,
) -> VersionScoresView:
    """Show every score of a version, and how each differs from another version's."""
    with context.registry.read() as work:
        found = comparisons.of_version(work, project_id=project, version=version, against=against)
    return VersionScoresView.model_validate(asdict(found))


def _view(work: Work, row: Version) -> VersionView:
    name = models.get(work, project_id=row.project_id, reference=row.model_id).name
    aliases = versions.aliases(work, project_id=row.project_id, model=row.model_id)
    return views.version(
        work, row, model_name=name, aliases=tuple(alias.name for alias in aliases if alias.version_id == row.id)
    )
