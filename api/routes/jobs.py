"""`/v1/jobs`: how it goes."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import views
from api.dependencies import BaseUrl, Ctx, Named, Paging, Project
from api.idempotency import OnceOnly, answer
from api.schemas.base import ListView, listed
from api.schemas.tasks import JobView
from core.domain.jobs import JobState
from core.registry.work import Work
from core.services import jobs
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("", response_model=ListView[JobView])
def page(
    context: Ctx,
    project: Project,
    paging: Paging,
    base_url: BaseUrl,
    model: Annotated[str | None, Query(max_length=200, description="Name or id.")] = None,
    state: JobState | None = None,
) -> Response:
    """List jobs, or those of one model or in one state."""
    with context.registry.read() as work:
        found = jobs.page(
            work,
            project_id=project,
            model=model,
            state=state,
            limit=paging.limit,
            after=paging.after,
            order=paging.order,
        )
        rows = views.job_list(context, work, found.data, base_url=base_url)
    return views.shown(listed(rows, [row.id for row in rows], has_more=found.has_more))


@router.get("/{job_id}", response_model=JobView)
def get(job_id: Named, context: Ctx, project: Project, base_url: BaseUrl) -> Response:
    """Show one job as it stands."""
    with context.registry.read() as work:
        row = jobs.get(work, project_id=project, job_id=job_id)
        return views.shown(views.job(context, work, row, base_url=base_url))


@router.post("/{job_id}/cancel", status_code=202, response_model=JobView)
def cancel(job_id: Named, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Ask for a job's end: what waits is cancelled at once, what runs confirms a moment later."""

    def change(work: Work) -> Answer:
        row = jobs.cancel(work, project_id=project, job_id=job_id)
        return answer(202, views.job(context, work, row, base_url=base_url))

    return once.perform(change)


@router.post("/{job_id}/pause", status_code=202, response_model=JobView)
def pause(job_id: Named, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Ask for a job's pause: what waits is paused at once, what runs writes its checkpoint first."""

    def change(work: Work) -> Answer:
        row = jobs.pause(work, project_id=project, job_id=job_id)
        return answer(202, views.job(context, work, row, base_url=base_url))

    return once.perform(change)


@router.post("/{job_id}/resume", status_code=202, response_model=JobView)
def resume(job_id: Named, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Let a paused job go on: it is queued at its old place, and continues from its checkpoint."""

    def change(work: Work) -> Answer:
        row = jobs.resume(work, project_id=project, job_id=job_id, dispatcher=context.dispatcher)
        return answer(202, views.job(context, work, row, base_url=base_url))

    return once.perform(change)


@router.post("/{job_id}/retry", status_code=202, response_model=JobView)
def retry(job_id: Named, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Queue a new job like one that did not succeed; it names the old one as `retry_of`."""

    def change(work: Work) -> Answer:
        row = jobs.retry(work, project_id=project, job_id=job_id, dispatcher=context.dispatcher)
        return answer(202, views.job(context, work, row, base_url=base_url))

    return once.perform(change)
