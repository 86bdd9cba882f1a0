"""What a job leaves behind on its way: events, curves and its log."""

import os
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api import views
from api.context import Context
from api.dependencies import Ctx, Known, Named, Project, Whole
from api.event_stream import EventStream
from api.schemas.base import ListView, listed
from api.schemas.tasks import EventView, LogView, MetricsView, PointView
from core.domain.job_folder import JobFolder
from core.services import jobs

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EVENT_STREAM: Final = "text/event-stream"
_MAX_SERIES: Final = 32
_MAX_N: Final = 2**53


class _Window:
    """Which events are wanted: those after ``after``; a reconnecting listener says it in a header."""

    def __init__(
        self,
        after: Annotated[Whole, Query(ge=0, le=_MAX_N, description="Number of the last event that is known.")] = 0,
        limit: Annotated[Whole, Query(ge=1, le=1_000)] = 100,
        last_event_id: Annotated[Whole | None, Header(ge=0, le=_MAX_N)] = None,
    ) -> None:
        self.after = after if last_event_id is None else last_event_id
        self.limit = limit


@router.get(
    "/{job_id}/events",
    response_model=ListView[EventView],
    responses={200: {"content": {_EVENT_STREAM: {"schema": {"type": "string"}}}}},
)
async def events(
    job_id: Named,
    context: Ctx,
    caller: Known,
    window: Annotated[_Window, Depends()],
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> ListView[EventView] | Response:
    """List events, oldest first; with `Accept: text/event-stream` they come as they happen, until the job is over."""
    if _EVENT_STREAM not in accept:
        return await run_in_threadpool(_page, context, caller.project_id, job_id, window)
    await run_in_threadpool(_require_job, context, caller.project_id, job_id)
    stream = EventStream(context=context, caller=caller, job_id=job_id, after=window.after)
    return StreamingResponse(stream.frames(), media_type=_EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


@router.get("/{job_id}/metrics")
def metrics(
    job_id: Named,
    context: Ctx,
    project: Project,
    series: Annotated[str, Query(max_length=2_000, description="Names, with commas; none means all.")] = "",
    max_points: Annotated[Whole, Query(ge=2, le=10_000, description="Each curve is thinned to so many points.")] = 500,
) -> MetricsView:
    """Show curves, e.g. loss and sparsity by step."""
    names = tuple(name for name in series.split(",") if name)[:_MAX_SERIES]
    with context.registry.read() as work:
        points = jobs.metrics(work, project_id=project, job_id=job_id, series=names, max_points=max_points)
    curves: dict[str, list[PointView]] = {name: [] for name in names}
    for point in points:
        curves.setdefault(point.series, []).append(PointView(step=point.step, value=point.value))
    return MetricsView(job_id=job_id, series=curves)


@router.get("/{job_id}/logs")
def logs(
    job_id: Named,
    context: Ctx,
    project: Project,
    max_bytes: Annotated[Whole, Query(ge=1, le=1024 * 1024)] = 64 * 1024,
) -> LogView:
    """Show the end of what the job's latest trainer printed."""
    _require_job(context, project, job_id)
    log = _latest_log(context.settings.jobs_dir / job_id)
    text, truncated = _tail(log, max_bytes) if log else ("", False)
    return LogView(job_id=job_id, text=text, truncated=truncated)


def _page(context: Context, project: str, job_id: str, window: _Window) -> ListView[EventView]:
    with context.registry.read() as work:
        found = jobs.events(work, project_id=project, job_id=job_id, after=window.after, limit=window.limit)
    rows = [views.event(row) for row in found.data]
    return listed(rows, [row.n for row in rows], has_more=found.has_more)


def _require_job(context: Context, project: str, job_id: str) -> None:
    with context.registry.read() as work:
        jobs.get(work, project_id=project, job_id=job_id)


def _latest_log(folder: Path) -> Path | None:
    """Return the log of the claim with the highest fence; a job that never ran has none."""
    fences = [claim for claim in folder.glob("*") if claim.name.isdecimal()]
    logs = [JobFolder(claim).log for claim in sorted(fences, key=lambda claim: int(claim.name), reverse=True)]
    return next((log for log in logs if log.is_file()), None)


def _tail(path: Path, max_bytes: int) -> tuple[str, bool]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - max_bytes))
        return file.read().decode("utf-8", errors="replace"), size > max_bytes
