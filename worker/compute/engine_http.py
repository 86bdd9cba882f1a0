"""The engine on the wire: completions in one piece or as server-sent events, health, and a nudge to look for news."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import psutil
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core.domain.errors import StrataError
from core.domain.identifiers import new_id
from core.serving.engine import Accepted, Engine
from core.serving.requests import CompletionRequest, Piece, Ticket, Usage
from worker.compute import engine_wire


def create_app(engine: Engine, *, secret: str | None, poll_seconds: float, load_timeout_seconds: float) -> Starlette:
    """Return the application; it starts the engine's threads and stops them.

    ``secret`` is what callers must present as a bearer token; None where the socket's file mode guards the door.
    """
    door = _Door(engine, secret, load_timeout_seconds)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        engine.start(poll_seconds=poll_seconds)
        yield
        await asyncio.to_thread(engine.stop)

    routes = [
        Route("/v1/completions", door.completions, methods=["POST"]),
        Route("/v1/refresh", door.refresh, methods=["POST"]),
        Route("/healthz", door.health, methods=["GET"]),
        Route("/metrics", door.metrics, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = {StrataError: engine_wire.answer_error}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


class _Door:
    def __init__(self, engine: Engine, secret: str | None, load_timeout_seconds: float) -> None:
        self._engine = engine
        self._secret = secret
        self._load_timeout_seconds = load_timeout_seconds

    async def completions(self, request: Request) -> Response:
        """Answer ``POST /v1/completions``."""
        engine_wire.require_secret(request, self._secret)
        asked = await engine_wire.asked(request)
        pieces: asyncio.Queue[Piece] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(piece: Piece) -> None:
            # The loop is closed only when the process ends: then nobody waits for the piece either.
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        accepted = await asyncio.to_thread(
            self._engine.submit, asked, listen, timeout_seconds=self._load_timeout_seconds
        )
        envelope = _envelope(asked, accepted)
        if asked.stream:
            return StreamingResponse(_events(envelope, pieces, accepted.ticket), media_type="text/event-stream")
        return JSONResponse(await _whole(envelope, pieces, request, accepted.ticket, answers=asked.n))

    async def refresh(self, request: Request) -> Response:
        """Answer ``POST /v1/refresh``: look at the registry now."""
        engine_wire.require_secret(request, self._secret)
        self._engine.refresh()
        return JSONResponse({"status": "ok"}, status_code=202)

    async def health(self, request: Request) -> Response:
        """Answer ``GET /healthz``: what is live, and the memory it takes."""
        engine_wire.require_secret(request, self._secret)
        body = {
            "status": "ok" if self._engine.is_running() else "failing",
            "live": self._engine.store.describe(),
            "loads": True,
            "requests": self._engine.scheduler.load(),
            "unique_bytes": self._engine.store.unique_bytes(),
            "resident_bytes": psutil.Process().memory_info().rss,
        }
        return JSONResponse(body, status_code=200 if self._engine.is_running() else engine_wire.UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Answer ``GET /metrics``: what this engine measures of itself, for Prometheus."""
        engine_wire.require_secret(request, self._secret)
        return PlainTextResponse(self._engine.meters.text(), media_type=CONTENT_TYPE_LATEST)


def _envelope(asked: CompletionRequest, accepted: Accepted) -> dict[str, Any]:
    return {
        "id": new_id("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": asked.model,
        "version_id": accepted.version.version_id,
    }


async def _whole(
    envelope: dict[str, Any], pieces: "asyncio.Queue[Piece]", request: Request, ticket: Ticket, *, answers: int = 1
) -> dict[str, Any]:
    """Gather the answer; stop decoding if the caller hangs up before it is complete."""
    pieces_of: list[list[Piece]] = [[] for _ in range(answers)]
    watch = asyncio.create_task(_cancel_on_disconnect(request, ticket, pieces))
    try:
        while True:
            piece = await pieces.get()
            if piece.error is not None:
                raise piece.error
            pieces_of[piece.index].append(piece)
            if piece.usage is not None:
                choices = [_choice(index, parts) for index, parts in enumerate(pieces_of)]
                return envelope | {"choices": choices} | _usage(piece.usage)
    finally:
        watch.cancel()


async def _cancel_on_disconnect(request: Request, ticket: Ticket, pieces: "asyncio.Queue[Piece]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    ticket.cancel()
    pieces.put_nowait(Piece(error=StrataError("the caller is gone")))


async def _events(envelope: dict[str, Any], pieces: "asyncio.Queue[Piece]", ticket: Ticket) -> AsyncGenerator[str]:
    try:
        while True:
            piece = await pieces.get()
            yield f"data: {json.dumps(_event(envelope, piece))}\n\n"
            if piece.is_last:
                break
        yield "data: [DONE]\n\n"
    finally:
        # Reached early when the caller hangs up: nobody reads on.
        ticket.cancel()


def _event(envelope: dict[str, Any], piece: Piece) -> dict[str, Any]:
    if piece.error is not None:
        return engine_wire.error_body(piece.error)
    content = envelope | {"choices": [_choice(piece.index, [piece])]}
    return content if piece.usage is None else content | _usage(piece.usage)


def _choice(index: int, pieces: list[Piece]) -> dict[str, Any]:
    """Return what is told of one answer, or of a part of it."""
    logprobs = [
        {**asdict(token.written), "top": [asdict(each) for each in token.top]}
        for piece in pieces
        for token in piece.logprobs
    ]
    return {
        "index": index,
        "text": "".join(piece.text for piece in pieces),
        "finish_reason": pieces[-1].finish_reason,
        "logprobs": logprobs or None,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {"usage": asdict(usage)}
