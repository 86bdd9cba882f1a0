"""A job's events as server-sent events: the rows that are there, then those that come, until the job is over."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import anyio
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from api import views
from api.context import Context
from core.domain.access import Caller
from core.domain.errors import UnauthenticatedError
from core.domain.jobs import TERMINAL
from core.domain.records import Event, Page
from core.services import jobs, keys

_PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """One listener's stream.

    Attributes:
        after: number of the last event that the listener has.
    """

    context: Context
    caller: Caller
    job_id: str
    after: int

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the wire format; a comment after each silence, so that nobody takes it for a broken line.

        It ends with the job, or with the listener's key.
        """
        with suppress(UnauthenticatedError):
            async for frame in self._frames():
                yield frame

    async def _frames(self) -> AsyncIterator[bytes]:
        after, spoke_at = self.after, time.monotonic()
        while True:
            page, is_over = await run_in_threadpool(self._look, after)
            for row in page.data:
                after = row.n
                yield _frame(row)
            if page.data:
                spoke_at = time.monotonic()
            elif time.monotonic() - spoke_at >= self.context.heartbeat_seconds:
                spoke_at = time.monotonic()
                yield KEEPALIVE_COMMENT
            if is_over and not page.has_more:
                return
            if not page.has_more:
                await anyio.sleep(self.context.settings.poll_seconds)

    def _look(self, after: int) -> tuple[Page[Event], bool]:
        """Return what is new, and whether the job was over then: both from one snapshot."""
        with self.context.registry.read() as work:
            keys.require_valid(work, self.caller)
            project_id = self.caller.project_id
            row = jobs.get(work, project_id=project_id, job_id=self.job_id)
            page = jobs.events(work, project_id=project_id, job_id=self.job_id, after=after, limit=_PAGE_ROWS)
            return page, row.state in TERMINAL


def _frame(row: Event) -> bytes:
    data = json.dumps(views.event(row).model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
    return format_sse_event(data_str=data, event=row.kind, id=str(row.n))
