"""`/v1/fine_tuning/jobs`: the jobs that learn tasks, under the names of OpenAI's clients."""

from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response

from api import bodies, uploads, views
from api.dependencies import Ctx, Cursor, Named, Paging, Project
from api.idempotency import Once, OnceOnly, answer, content_of
from api.openai import fine_tuning as asking
from api.openai import fine_tuning_views as telling
from api.openai.fine_tuning import FineTuningJobRequest
from api.openai.fine_tuning_views import FineTuningCheckpointView, FineTuningEventView, FineTuningJobView
from api.schemas.base import ListView, listed
from core.domain.errors import InvalidError, Place
from core.domain.records import Job
from core.registry import pages
from core.registry.work import Work
from core.services import fine_tuning, jobs
from core.services.idempotency import Answer

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["openai"])


async def _no_filter(request: Request) -> None:
    """Refuse what would otherwise be passed over: a list that is asked for by metadata is another list."""
    if any(name == "metadata" or name.startswith("metadata[") for name in request.query_params):
        message = "jobs are not listed by their metadata here"
        raise InvalidError(message, places=[Place(loc=("query", "metadata"), message=message)])


@router.post("", response_model=FineTuningJobView, openapi_extra=bodies.described(FineTuningJobRequest))
def create(
    body: Annotated[FineTuningJobRequest, Depends(bodies.json_body(FineTuningJobRequest))],
    context: Ctx,
    project: Project,
    once: OnceOnly,
) -> Response:
    """Let a model learn a file; a base model's name makes a new model of it first."""

    def change(work: Work) -> Answer:
        queued = fine_tuning.start(
            work,
            project_id=project,
            asked=asked,
            dispatcher=context.dispatcher,
            memory_bytes=context.settings.task_memory_bytes,
        )
        job = queued.job
        ids = {"task_id": job.task_id, "job_id": job.id, "model_id": job.model_id}
        work.after_commit(lambda: log.info("task.queued", **ids))
        return answer(200, telling.job(work, job), {"Location": f"/v1/fine_tuning/jobs/{job.id}"})

    content = content_of(body)
    if known := once.recall(content):
        return known
    asked = asking.asked(body)
    with asking.in_openai_words(body):
        if asked.eval_dataset_id is not None:
            uploads.check_stored_evaluation(context, asked.dataset_id, asked.eval_dataset_id, project_id=project)
        return once.perform(change, content=content)


@router.get("", response_model=ListView[FineTuningJobView], dependencies=[Depends(_no_filter)])
def page(context: Ctx, project: Project, paging: Paging) -> Response:
    """List the jobs that learn tasks."""
    with context.registry.read() as work:
        found = fine_tuning.page(work, project_id=project, cursor=_cursor(paging))
        rows = telling.job_list(work, found.data)
    return views.shown(listed(rows, [row.id for row in rows], has_more=found.has_more))


@router.get("/{job_id}", response_model=FineTuningJobView)
def get(job_id: Named, context: Ctx, project: Project) -> Response:
    """Show one job as it stands."""
    with context.registry.read() as work:
        return views.shown(telling.job(work, fine_tuning.get(work, project_id=project, job_id=job_id)))


@router.get("/{job_id}/events", response_model=ListView[FineTuningEventView])
def events(job_id: Named, context: Ctx, project: Project, paging: Paging) -> Response:
    """List what happened to a job, newest first."""
    with context.registry.read() as work:
        found = fine_tuning.events(work, project_id=project, job_id=job_id, cursor=_cursor(paging))
    rows = [telling.event(row) for row in found.data]
    return views.shown(listed(rows, [row.id for row in rows], has_more=found.has_more))


@router.get("/{job_id}/checkpoints", response_model=ListView[FineTuningCheckpointView])
def checkpoints(job_id: Named, context: Ctx, project: Project, paging: Paging) -> Response:
    """List the states of the model that a job left to be asked: its version, once it succeeded."""
    with context.registry.read() as work:
        rows = telling.checkpoints(work, fine_tuning.get(work, project_id=project, job_id=job_id))
    rows = [row for row in rows if paging.after is None]
    return views.shown(listed(rows, [row.id for row in rows], has_more=False))


@router.post("/{job_id}/cancel", response_model=FineTuningJobView)
def cancel(job_id: Named, project: Project, once: OnceOnly) -> Response:
    """Ask for a job's end: what waits is cancelled at once, what runs confirms a moment later."""
    return _changed(once, project, job_id, lambda work: jobs.cancel(work, project_id=project, job_id=job_id))


@router.post("/{job_id}/pause", response_model=FineTuningJobView)
def pause(job_id: Named, project: Project, once: OnceOnly) -> Response:
    """Ask for a job's pause: what waits is paused at once, what runs writes its checkpoint first."""
    return _changed(once, project, job_id, lambda work: jobs.pause(work, project_id=project, job_id=job_id))


@router.post("/{job_id}/resume", response_model=FineTuningJobView)
def resume(job_id: Named, context: Ctx, project: Project, once: OnceOnly) -> Response:
    """Let a paused job go on: it is queued at its old place, and continues from its checkpoint."""

    def change(work: Work) -> Job:
        return jobs.resume(work, project_id=project, job_id=job_id, dispatcher=context.dispatcher)

    return _changed(once, project, job_id, change)


def _changed(once: Once, project: str, job_id: str, change: Callable[[Work], Job]) -> Response:
    def make(work: Work) -> Answer:
        fine_tuning.get(work, project_id=project, job_id=job_id, lock=True)
        return answer(200, telling.job(work, change(work)))

    return once.perform(make)


def _cursor(paging: Cursor) -> pages.Cursor:
    return pages.Cursor(paging.limit, paging.after, paging.order)
