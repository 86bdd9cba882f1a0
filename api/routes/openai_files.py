"""`/v1/files`: datasets, under the names of OpenAI's clients."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from api import bodies, storing, uploads, views
from api.dependencies import After, ByTime, Ctx, Cursor, Named, Project, Whole
from api.idempotency import OnceOnly, answer
from api.openai import files
from api.openai.files import FileView
from api.schemas.base import ListView, listed
from api.schemas.models import DeletedView
from core.domain.records import Dataset
from core.registry.pages import MAX_LIMIT
from core.services import datasets
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/files", tags=["openai"])

_MEDIA_TYPE: Final = "application/octet-stream"
_MAX_ASKED: Final = 10_000


async def _page_of_files(
    limit: Annotated[
        Whole, Query(ge=1, le=_MAX_ASKED, description=f"Files of one page; no page has more than {MAX_LIMIT}.")
    ] = _MAX_ASKED,
    after: After = None,
    order: ByTime = "desc",
) -> Cursor:
    return Cursor(min(limit, MAX_LIMIT), after, order)


@router.post("", response_model=FileView, openapi_extra=files.BODY)
async def upload(request: Request, context: Ctx, project: Project, once: OnceOnly) -> Response:
    """Upload a file of rows to learn; the same content again is the same file."""
    bodies.require_form(request)
    with uploads.form(context, files=("file",), texts=("purpose",)) as reader:
        received = await reader.read(request)
        uploads.require_word(received, "purpose", [files.FINE_TUNE])
        parts = uploads.require_file(received)
        return await run_in_threadpool(storing.keep_one, context, parts, project_id=project, once=once, shown=_made)


@router.get("", response_model=ListView[FileView])
def page(
    context: Ctx,
    project: Project,
    paging: Annotated[Cursor, Depends(_page_of_files)],
    purpose: Annotated[str | None, Query(max_length=64, description="Every file here is for `fine-tune`.")] = None,
) -> Response:
    """List the project's files."""
    if purpose not in {None, files.FINE_TUNE}:
        return views.shown(ListView[FileView](data=[]))
    with context.registry.read() as work:
        found = datasets.page(work, project_id=project, limit=paging.limit, after=paging.after, order=paging.order)
    rows = [files.file(row) for row in found.data]
    return views.shown(listed(rows, [row.id for row in rows], has_more=found.has_more))


@router.get("/{file_id}", response_model=FileView)
def get(file_id: Named, context: Ctx, project: Project) -> Response:
    """Show one file."""
    with context.registry.read() as work:
        return views.shown(files.file(datasets.get(work, project_id=project, dataset_id=file_id)))


@router.get(
    "/{file_id}/content",
    response_class=FileResponse,
    responses={200: {"content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)
def content(file_id: Named, context: Ctx, project: Project) -> Response:
    """Send the file's bytes as they came."""
    with context.registry.read() as work:
        row = datasets.get(work, project_id=project, dataset_id=file_id)
    return FileResponse(context.blobs.path(row.sha256), media_type=_MEDIA_TYPE, filename=files.name_of(row))


@router.delete("/{file_id}")
def delete(file_id: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete a file that no task of a model needs."""
    storing.delete(context, project_id=project, dataset_id=file_id)
    return DeletedView(id=file_id, object="file")


def _made(row: Dataset) -> Answer:
    return answer(200, files.file(row), {"Location": f"/v1/files/{row.id}"})
