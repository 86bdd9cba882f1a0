"""Answers of the engine, told in the words of the caller: which version of which model spoke."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from starlette.responses import StreamingResponse

from api import errors
from api.context import Context
from api.schemas.generation import GenerationRequest
from core.domain.access import Caller
from core.domain.errors import StrataError
from core.services import generation, keys, models, versions

log = structlog.get_logger(__name__)

Pieces = Iterator[dict[str, Any]]

_DONE: Final = b"data: [DONE]\n\n"
# A key that is revoked while an answer is written is noticed this much later at most.
_KEY_SECONDS: Final = 10.0


class Generation:
    """One request to the engine.

    Each waiting request holds a thread; those are counted apart (``limiter``), so that any number of slow answers
    leaves the threads of all other calls alone.
    """

    def __init__(self, context: Context, *, caller: Caller, limiter: CapacityLimiter) -> None:
        self._context = context
        self._caller = caller
        self._project_id = caller.project_id
        self._limiter = limiter
        self._checked_at = time.monotonic()
        self._names: dict[str, str] = {}

    async def answer(self, body: GenerationRequest) -> dict[str, Any]:
        """Return the whole answer."""
        return await anyio.to_thread.run_sync(self._answer, body, limiter=self._limiter)

    async def stream(
        self, body: GenerationRequest, *, path: str, request_id: str, told: Callable[[Pieces], Pieces] = iter
    ) -> AsyncIterator[bytes]:
        """Return the answer as server-sent events, once its first piece is there.

        Args:
            body: what is asked.
            path: of the request, for errors inside the stream.
            request_id: of the request, as well.
            told: how the engine's pieces are told; nothing may come before the first of them.

        Raises:
            StrataError: before the first piece; later errors are told inside the stream.
        """
        pieces = told(await anyio.to_thread.run_sync(self._open, body, limiter=self._limiter))
        first = await anyio.to_thread.run_sync(next, pieces, None, limiter=self._limiter)
        return self._frames(first, pieces, path=path, request_id=request_id)

    async def _frames(
        self, first: dict[str, Any] | None, pieces: Iterator[dict[str, Any]], *, path: str, request_id: str
    ) -> AsyncIterator[bytes]:
        try:
            piece = first
            while piece is not None:
                yield _frame(piece)
                piece = await anyio.to_thread.run_sync(next, pieces, None, limiter=self._limiter)
            yield _DONE
        except StrataError as error:
            log.warning("generation.broke_off", request_id=request_id, code=error.code)
            yield _frame(errors.problem(error, path=path, request_id=request_id).model_dump(mode="json"))
        finally:
            # A caller that went away must not leave the engine writing.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_close, pieces)

    def _answer(self, body: GenerationRequest) -> dict[str, Any]:
        return self._named(self._context.generator.generate(self._plan(body)))

    def _open(self, body: GenerationRequest) -> Iterator[dict[str, Any]]:
        request = self._plan(body)
        return (self._checked(piece) for piece in self._context.generator.stream(request))

    def _checked(self, piece: dict[str, Any]) -> dict[str, Any]:
        if time.monotonic() - self._checked_at >= _KEY_SECONDS:
            self._checked_at = time.monotonic()
            with self._context.registry.read() as work:
                keys.require_valid(work, self._caller)
        return self._named(piece)

    def _plan(self, body: GenerationRequest) -> dict[str, Any]:
        given = body.model_dump(mode="json", exclude_none=True, exclude={"stream"})
        with self._context.registry.read() as work:
            return generation.plan(work, project_id=self._project_id, request=given)

    def _named(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Replace the engine's name for the version by ``model@number``."""
        name = self._name(answer["version_id"])
        return {**answer, "model": name, "version": name}

    def _name(self, version_id: str) -> str:
        if version_id not in self._names:
            with self._context.registry.read() as work:
                version = versions.get(work, project_id=self._project_id, version_id=version_id)
                model = models.get(work, project_id=self._project_id, reference=version.model_id)
            self._names[version_id] = f"{model.name}@{version.number}"
        return self._names[version_id]


def as_stream(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the answer that carries server-sent events, which no proxy on the way shall hold back."""
    return StreamingResponse(frames, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _frame(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


def _close(pieces: Iterator[dict[str, Any]]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
