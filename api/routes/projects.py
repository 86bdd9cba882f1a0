"""`/v1/projects`: the caller's own, its quotas and what it uses of them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api import bodies
from api.dependencies import Ctx, Named, Project
from api.schemas.base import timestamp
from api.schemas.keys import ProjectRequest, ProjectView
from core.domain.records import Project as Row
from core.registry.work import Work
from core.services import projects, quotas

router = APIRouter(prefix="/v1/projects", tags=["projects"])


@router.get("/{project_id}")
def get(project_id: Named, context: Ctx, project: Project) -> ProjectView:
    """Show the caller's project, by its id or as `own`."""
    with context.registry.read() as work:
        return _view(work, projects.get(work, project_id=project, reference=project_id))


@router.patch("/{project_id}", openapi_extra=bodies.described(ProjectRequest))
def change(
    project_id: Named,
    body: Annotated[ProjectRequest, Depends(bodies.json_body(ProjectRequest))],
    context: Ctx,
    project: Project,
) -> ProjectView:
    """Change the project's quotas."""
    given = body.model_dump(exclude_unset=True)
    with context.registry.write() as work:
        return _view(work, projects.set_quotas(work, project_id=project, reference=project_id, quotas=given))


def _view(work: Work, row: Row) -> ProjectView:
    use = quotas.use(work, project_id=row.id)
    return ProjectView(
        id=row.id,
        name=row.name,
        max_open_jobs=row.max_open_jobs,
        max_bytes=row.max_bytes,
        max_requests_per_minute=row.max_requests_per_minute,
        max_generations=row.max_generations,
        open_jobs=use.open_jobs,
        bytes=use.bytes,
        created_at=timestamp(row.created_ms),
    )
