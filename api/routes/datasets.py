"""`/v1/datasets`: examples, before and beside any task."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import bodies, storing, uploads, views
from api.dependencies import Ctx, Named, Paging, Project, Whole
from api.idempotency import OnceOnly, answer
from api.schemas.base import ListView, listed
from api.schemas.datasets import DatasetView, PreviewRow, PreviewView, ReportView, Span
from api.schemas.models import DeletedView
from core.datasets import materialise, templates
from core.datasets.containers import container
from core.datasets.example import Conversation, Document, Rendered
from core.domain.records import Dataset
from core.services import datasets
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

_Option = Annotated[str, Query(min_length=1, max_length=200)]


@router.post("", status_code=201, response_model=DatasetView, openapi_extra=uploads.DATASET_BODY)
async def upload(request: Request, context: Ctx, project: Project, once: OnceOnly) -> Response:
    """Upload a file of rows; the same content again is the same dataset."""
    bodies.require_form(request)
    with uploads.form(context, files=("file",), texts=("sha256",)) as reader:
        files = uploads.require_file(await reader.read(request))
        return await run_in_threadpool(storing.keep_one, context, files, project_id=project, once=once, shown=_made)


@router.get("")
def page(context: Ctx, project: Project, paging: Paging) -> ListView[DatasetView]:
    """List the project's datasets."""
    with context.registry.read() as work:
        found = datasets.page(work, project_id=project, limit=paging.limit, after=paging.after, order=paging.order)
    rows = [views.dataset(row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/{dataset_id}")
def get(dataset_id: Named, context: Ctx, project: Project) -> DatasetView:
    """Show one dataset."""
    with context.registry.read() as work:
        return views.dataset(datasets.get(work, project_id=project, dataset_id=dataset_id))


@router.get("/{dataset_id}/report")
def report(dataset_id: Named, context: Ctx, project: Project) -> ReportView:
    """Show what validation found out about the file."""
    with context.registry.read() as work:
        row = datasets.get(work, project_id=project, dataset_id=dataset_id)
    return ReportView(dataset_id=row.id, report=dict(row.report))


@router.get("/{dataset_id}/preview")
def preview(
    dataset_id: Named,
    context: Ctx,
    project: Project,
    limit: Annotated[Whole, Query(ge=1, le=20)] = 5,
    question: Annotated[str | None, Query(min_length=1, max_length=2_000)] = None,
    options: Annotated[list[_Option] | None, Query(max_length=1_000)] = None,
) -> PreviewView:
    """Render the first examples as a task would, and mark what is read only and what is learned."""
    with context.registry.read() as work:
        row = datasets.get(work, project_id=project, dataset_id=dataset_id)
    template = templates.build(row.format, labels=row.report.get("labels"), question=question, options=options)
    held_in = container.of_report(row.report)
    rendered = materialise.examples(context.blobs.path(row.sha256), template=template, container=held_in)
    return PreviewView(
        dataset_id=row.id,
        template=template.model_dump(mode="json"),
        data=[_preview_row(n, example) for n, example in enumerate(islice(rendered, limit), start=1)],
    )


@router.delete("/{dataset_id}")
def delete(dataset_id: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete a dataset that no task uses."""
    storing.delete(context, project_id=project, dataset_id=dataset_id)
    return DeletedView(id=dataset_id, object="dataset")


def _made(row: Dataset) -> Answer:
    return answer(201, views.dataset(row), {"Location": f"/v1/datasets/{row.id}"})


def _preview_row(n: int, rendered: Rendered) -> PreviewRow:
    return PreviewRow(row=n, spans=_spans(rendered))


def _spans(rendered: Rendered) -> list[Span]:
    if isinstance(rendered, Conversation):
        return [Span(role=turn.role, masked=not turn.learned, text=turn.content) for turn in rendered.turns]
    if isinstance(rendered, Document):
        return [Span(role="target", masked=False, text=rendered.text)]
    return [
        Span(role="prompt", masked=True, text=rendered.prompt),
        Span(role="target", masked=False, text=rendered.target),
    ]
