"""Answers of the engine, told in the words of the caller: which version of which model spoke."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

import anyio.to_thread
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import errors
from api.context import Context
from api.generation_room import GenerationRoom
from api.schemas.generation import GenerationRequest
from core.domain.access import Caller
from core.domain.backends import Departure, Question
from core.domain.errors import StrataError, UnavailableError
from core.services import generation, keys, models, versions

log = structlog.get_logger(__name__)

Told = Iterator[dict[str, Any]]
T = TypeVar("T")

_DONE: Final = b"data: [DONE]\n\n"
# A key that is revoked while an answer is written is noticed this much later at most.
_KEY_SECONDS: Final = 10.0


class Generation:
    """One request for an answer.

    Each waiting request holds a thread; those are counted apart (`GenerationRoom.limiter`), so that any number of slow
    answers leaves the threads of all other calls alone. A caller who goes away ends the answer at once.
    """

    def __init__(self, context: Context, *, caller: Caller, request: Request) -> None:
        self._context = context
        self._caller = caller
        self._request = request
        self._room: GenerationRoom = request.app.state.generation_room
        self._departure = Departure()
        self._is_inside = False
        self._arrived_at = self._checked_at = time.monotonic()
        self._names: dict[str, str] = {}

    async def answer(self, body: GenerationRequest) -> dict[str, Any]:
        """Return the whole answer.

        Raises:
            ClientDisconnect: nobody waits for it any more.
            StrataError: there is none.
        """
        self._enter()
        try:
            return await self._unless_left(partial(self._on_thread, self._answer, body))
        finally:
            self._leave()

    async def stream(self, body: GenerationRequest, *, told: Callable[[Told], Told] = iter) -> StreamingResponse:
        """Return the answer as server-sent events, once its first piece is there.

        Args:
            body: what is asked.
            told: how the engine's pieces are told; nothing may come before the first of them.

        Raises:
            ClientDisconnect: as `answer`.
            StrataError: before the first piece; later errors are told inside the stream.
        """
        self._enter()
        try:
            pieces, first = await self._unless_left(partial(self._on_thread, self._begin, body, told))
        except BaseException:
            self._leave()
            raise
        return _Stream(self._frames(first, pieces), at_end=partial(self._end, pieces))

    async def _unless_left(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that is cut short when the caller goes away."""
        watch = asyncio.create_task(self._watch())
        try:
            return await work()
        except StrataError as error:
            if self._departure.is_gone:
                raise ClientDisconnect from error
            raise
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            continue
        self._departure.leave()

    async def _on_thread(self, work: Callable[..., T], *given: Any) -> T:
        return await anyio.to_thread.run_sync(work, *given, limiter=self._room.limiter)

    async def _frames(self, first: dict[str, Any] | None, pieces: Told) -> AsyncIterator[bytes]:
        try:
            piece = first
            while piece is not None:
                yield _frame(piece)
                piece = await self._on_thread(next, pieces, None)
            # Whoever reads the end may ask again at once.
            self._leave()
            yield _DONE
        except StrataError as error:
            request_id = self._request.state.request_id
            log.warning("generation.broke_off", request_id=request_id, code=error.code)
            problem = errors.problem(error, path=self._request.url.path, request_id=request_id)
            yield _frame(problem.model_dump(mode="json"))

    async def _end(self, pieces: Told) -> None:
        # A caller that went away must not leave the engine writing.
        self._departure.leave()
        self._leave()
        await anyio.to_thread.run_sync(_close, pieces)

    def _enter(self) -> None:
        self._room.enter(self._caller)
        self._is_inside = True

    def _leave(self) -> None:
        if self._is_inside:
            self._is_inside = False
            self._room.leave(self._caller)

    def _answer(self, body: GenerationRequest) -> dict[str, Any]:
        return self._named(self._context.generator.generate(self._question(body)))

    def _begin(self, body: GenerationRequest, told: Callable[[Told], Told]) -> tuple[Told, dict[str, Any] | None]:
        question = self._question(body)
        pieces = told(self._checked(piece) for piece in self._context.generator.stream(question))
        return pieces, next(pieces, None)

    def _checked(self, piece: dict[str, Any]) -> dict[str, Any]:
        if time.monotonic() - self._checked_at >= _KEY_SECONDS:
            self._checked_at = time.monotonic()
            with self._context.registry.read() as work:
                keys.require_valid(work, self._caller)
        return self._named(piece)

    def _question(self, body: GenerationRequest) -> Question:
        given = body.model_dump(mode="json", exclude_none=True, exclude={"stream"})
        with self._context.registry.read() as work:
            plan = generation.plan(work, project_id=self._caller.project_id, request=given)
        # Another one speaks only if the name was moved meanwhile.
        self._names[plan.version.id] = plan.name
        if body.timeout_seconds is not None:
            plan.request["timeout_seconds"] = self._left(body.timeout_seconds)
        return Question(
            request=plan.request,
            model_id=plan.version.model_id,
            version_id=plan.version.id,
            departure=self._departure,
        )

    def _left(self, timeout_seconds: float) -> float:
        """Return what is left of the caller's time after the wait for a thread."""
        left = timeout_seconds - (time.monotonic() - self._arrived_at)
        if left <= 0:
            raise UnavailableError("the answer was not complete in time", code="deadline_exceeded")
        return left

    def _named(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Replace the engine's name for the version by ``model@number``."""
        name = self._name(answer["version_id"])
        return {**answer, "model": name, "version": name}

    def _name(self, version_id: str) -> str:
        if version_id not in self._names:
            with self._context.registry.read() as work:
                version = versions.get(work, project_id=self._caller.project_id, version_id=version_id)
                model = models.get(work, project_id=self._caller.project_id, reference=version.model_id)
            self._names[version_id] = f"{model.name}@{version.number}"
        return self._names[version_id]


class _Stream(StreamingResponse):
    """Server-sent events, which no proxy on the way shall hold back; ``at_end`` follows however they end."""

    def __init__(self, frames: AsyncIterator[bytes], *, at_end: Callable[[], Awaitable[None]]) -> None:
        super().__init__(frames, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._at_end = at_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._at_end()


def _frame(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


def _close(pieces: Told) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
