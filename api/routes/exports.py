"""`/v1/exports`: versions as files that other software opens."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from api import bodies, ranges
from api.dependencies import Ctx, Named, Paging, Project
from api.idempotency import OnceOnly, answer, content_of
from api.ranges import StoredFile
from api.schemas.base import ListView, listed, timestamp, timestamp_or_none
from api.schemas.exports import ExportFileView, ExportRequest, ExportView
from api.schemas.models import DeletedView
from api.schemas.tasks import JobErrorView
from core.domain.exports import Export, Parity
from core.domain.records import Job
from core.registry.work import Work
from core.services import exports, models, versions
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1", tags=["exports"])

_CONTENT = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.post(
    "/versions/{version}/exports",
    status_code=202,
    response_model=ExportView,
    responses={200: {"description": "It is there, or under way already.", "model": ExportView}},
    openapi_extra=bodies.described(ExportRequest),
)
def create(
    body: Annotated[ExportRequest, Depends(bodies.json_body(ExportRequest))],
    version: Named,
    context: Ctx,
    project: Project,
    once: OnceOnly,
) -> Response:
    """Export a version, by its id, `name` (its latest), `name@3` or `name:alias`; the same again is the same export."""

    def change(work: Work) -> Answer:
        asked = exports.submit(
            work,
            project_id=project,
            version=version,
            format=body.format,
            dtype=body.dtype,
            dispatcher=context.dispatcher,
        )
        status = 202 if asked.is_new else 200
        return answer(status, _view(work, asked.export, asked.job), {"Location": f"/v1/exports/{asked.export.id}"})

    return once.perform(change, content=content_of(body))


@router.get("/exports")
def page(
    context: Ctx,
    project: Project,
    paging: Paging,
    version: Annotated[str | None, Query(max_length=200, description="Only those of this version.")] = None,
) -> ListView[ExportView]:
    """List exports, or those of one version."""
    with context.registry.read() as work:
        found = exports.page(
            work,
            project_id=project,
            version=version,
            limit=paging.limit,
            after=paging.after,
            order=paging.order,
        )
        rows = _views(work, found.data)
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/exports/{export_id}")
def get(export_id: Named, context: Ctx, project: Project) -> ExportView:
    """Show one export: how far it is, and once it is built its files with their hashes and the proof."""
    with context.registry.read() as work:
        return _views(work, [exports.require_export(work, project_id=project, export_id=export_id)])[0]


@router.delete("/exports/{export_id}")
def delete(export_id: Named, context: Ctx, project: Project) -> DeletedView:
    """Delete an export; asked for again it is built anew."""
    with context.registry.write() as work:
        row = exports.delete(work, project_id=project, export_id=export_id)
    return DeletedView(id=row.id, object="export")


@router.head("/exports/{export_id}/files/{file:path}", include_in_schema=False)
@router.get(
    "/exports/{export_id}/files/{file:path}",
    response_class=Response,
    responses={
        200: {"description": "The whole file.", "content": _CONTENT},
        206: {"description": "The part that `Range` asks for.", "content": _CONTENT},
        304: {"description": "The caller has it: `If-None-Match` names its hash."},
    },
)
def download(  # noqa: PLR0913 - what the framework hands over, each by its type
    *,
    request: Request,
    export_id: Named,
    file: Annotated[str, Path(max_length=500)],
    context: Ctx,
    project: Project,
    wanted: Annotated[str | None, Header(alias="Range", description="`bytes=1000-`: from the byte 1000 on.")] = None,
    if_range: Annotated[
        str | None, Header(description="Else, if the content is not of this `ETag`, all of it.")
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Send a file of an export, whole or from any byte on; `ETag` is its SHA-256. `HEAD` tells its length."""
    with context.registry.read() as work:
        export, found = exports.require_file(work, project_id=project, export_id=export_id, name=file)
    key = str(export.artefact)
    stored = StoredFile(
        name=found.name,
        bytes=found.bytes,
        sha256=found.sha256,
        read=lambda first, last: context.artefacts.stream(key, found.name, first=first, last=last),
    )
    asked = ranges.Asked(method=request.method, range=wanted, if_range=if_range, if_none_match=if_none_match)
    return ranges.answer(stored, asked)


def _views(work: Work, rows: Sequence[Export]) -> list[ExportView]:
    jobs = exports.jobs_of(work, rows)
    return [_view(work, row, jobs[row.id]) for row in rows]


def _view(work: Work, row: Export, job: Job) -> ExportView:
    version = versions.get(work, project_id=row.project_id, version_id=row.version_id)
    model = models.get(work, project_id=row.project_id, reference=row.model_id)
    return ExportView(
        id=row.id,
        model_id=row.model_id,
        version_id=row.version_id,
        version=f"{model.name}@{version.number}",
        format=row.format,
        dtype=row.dtype,
        state=job.state,
        job_id=row.job_id,
        size_bytes=row.size_bytes,
        manifest_sha256=row.manifest_sha256,
        files=[
            ExportFileView(
                name=file.name, bytes=file.bytes, sha256=file.sha256, href=f"/v1/exports/{row.id}/files/{file.name}"
            )
            for file in exports.files_of(row)
        ],
        parity=None if row.parity is None else Parity.model_validate(row.parity),
        error=JobErrorView(code=job.error_code, detail=job.error_detail) if job.error_code else None,
        created_at=timestamp(row.created_ms),
        ready_at=timestamp_or_none(row.ready_ms),
    )
