"""`/v1/tasks`: what is to be learned."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import bodies, storing, uploads, views
from api.context import Context
from api.dependencies import BaseUrl, Ctx, Named, Paging, Project
from api.idempotency import Once, OnceOnly, answer, content_of
from api.multipart import ReceivedFile
from api.schemas.base import ListView, listed
from api.schemas.tasks import (
    EstimateFields,
    EstimateRequest,
    EstimateView,
    JobView,
    TaskFields,
    TaskRequest,
    TaskView,
)
from core.domain.records import Dataset
from core.registry.work import Work
from core.services import estimates, jobs, tasks
from core.services.idempotency import Answer
from core.services.tasks import Queued

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])


@router.post("", status_code=202, response_model=JobView, openapi_extra=uploads.TASK_BODY)
async def submit(request: Request, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Post a task, as a form with its file or as JSON on a dataset; the answer is its queued job."""
    poster = _Poster(context, project, base_url, once)
    if bodies.media_type(request)[0] == "multipart/form-data":
        with uploads.form(context, files=uploads.FILES, texts=uploads.TEXTS) as reader:
            received = await reader.read(request)
            fields = uploads.task_fields(received, kind=TaskFields)
            return await run_in_threadpool(poster.post, fields, received.files)
    return await run_in_threadpool(poster.post, await bodies.read(request, TaskRequest), {})


@router.post("/estimate", response_model=EstimateView, openapi_extra=uploads.ESTIMATE_BODY)
async def estimate(request: Request, context: Ctx, project: Project, base_url: BaseUrl, once: OnceOnly) -> Response:
    """Check a task as if it were posted, and say what it will take; nothing is queued or kept."""
    poster = _Poster(context, project, base_url, once)
    if bodies.media_type(request)[0] == "multipart/form-data":
        with uploads.form(context, files=uploads.FILES, texts=uploads.TEXTS) as reader:
            received = await reader.read(request)
            fields = uploads.task_fields(received, kind=EstimateFields)
            return await run_in_threadpool(poster.estimate, fields, received.files)
    return await run_in_threadpool(poster.estimate, await bodies.read(request, EstimateRequest), {})


@router.get("")
def page(
    context: Ctx, project: Project, paging: Paging, model: Annotated[str | None, Query(max_length=200)] = None
) -> ListView[TaskView]:
    """List tasks, or those of one model."""
    with context.registry.read() as work:
        found = tasks.page(
            work, project_id=project, model=model, limit=paging.limit, after=paging.after, order=paging.order
        )
    rows = [views.task(row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/{task_id}")
def get(task_id: Named, context: Ctx, project: Project) -> TaskView:
    """Show one task."""
    with context.registry.read() as work:
        return views.task(tasks.get(work, project_id=project, task_id=task_id))


class _Poster:
    """Stores a task's files and queues it, in one transaction."""

    def __init__(self, context: Context, project_id: str, base_url: str, once: Once) -> None:
        self._context = context
        self._project_id = project_id
        self._base_url = base_url
        self._once = once

    def post(self, fields: TaskFields, files: Mapping[str, ReceivedFile]) -> Response:
        """Answer with the queued job, or with the estimate of a dry run."""
        if fields.dry_run:
            return self.estimate(fields, files)
        content = content_of(fields, files)
        if known := self._once.recall(content):
            return known
        uploads.check_evaluation(self._context, fields, files, project_id=self._project_id)

        def submit_once(work: Work, stored: Mapping[str, Dataset]) -> Response:
            return self._once.settle(work, lambda _: self._queue(work, fields, stored), content=content)

        return storing.store(self._context, files, project_id=self._project_id, then=submit_once)

    def estimate(self, fields: TaskFields, files: Mapping[str, ReceivedFile]) -> Response:
        """Answer with what the task would take."""
        uploads.check_evaluation(self._context, fields, files, project_id=self._project_id)

        def rehearse(work: Work, stored: Mapping[str, Dataset]) -> EstimateView:
            queued = self._submit(work, fields, stored)
            figures = asdict(estimates.estimate(work, queued.job))
            return EstimateView(effective_spec=dict(queued.task.spec), **figures)

        view = storing.rehearse(self._context, files, project_id=self._project_id, then=rehearse)
        return views.shown(view)

    def _queue(self, work: Work, fields: TaskFields, stored: Mapping[str, Dataset]) -> Answer:
        queued = self._submit(work, fields, stored)
        job = queued.job
        ids = {"task_id": job.task_id, "job_id": job.id, "model_id": job.model_id}
        work.after_commit(lambda: log.info("task.queued", **ids))
        around = jobs.surroundings_of_new(work, queued)
        view = views.job_amid(self._context, work, job, around, base_url=self._base_url)
        return answer(202, view, {"Location": f"/v1/jobs/{job.id}"})

    def _submit(self, work: Work, fields: TaskFields, stored: Mapping[str, Dataset]) -> Queued:
        submission = tasks.TaskSubmission(
            model=fields.model,
            name=fields.name,
            dataset_id=stored["file"].id if "file" in stored else fields.dataset_id or "",
            eval_dataset_id=stored["eval_file"].id if "eval_file" in stored else fields.eval_dataset_id,
            spec=fields.spec,
            expected_parent=fields.expected_parent,
        )
        return tasks.submit(
            work,
            project_id=self._project_id,
            submission=submission,
            dispatcher=self._context.dispatcher,
            memory_bytes=self._context.settings.task_memory_bytes,
        )
