"""The fleet on the wire, as an engine speaks: the API asks it for the alias that it follows, and for what it holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.backends.pool import Pool
from core.domain.backends import Departure, Pieces, Question, Standing
from core.domain.errors import MissingError, StrataError
from worker.compute import engine_wire
from worker.compute.vllm.fleet import FleetServer


class Door:
    """Routes over a fleet.

    Args:
        pool: the fleet's servers behind one door.
        servers: the same, one by one.
        follows: ``<model id>:<alias>`` that they answer for.
        poke: makes the publisher look at the registry now.
        secret: what callers must present; None where the socket's file mode guards the door.
    """

    def __init__(
        self,
        pool: Pool,
        servers: tuple[FleetServer, ...],
        *,
        follows: str,
        poke: Callable[[], None],
        secret: str | None,
    ) -> None:
        self._pool = pool
        self._servers = servers
        self._follows = follows
        self._poke = poke
        self._secret = secret

    def app(self, *, start: Callable[[], None], stop: Callable[[], None]) -> Starlette:
        """Return the application, which starts and stops the publisher with itself."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            start()
            yield
            await asyncio.to_thread(stop)

        routes = [
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/refresh", self.refresh, methods=["POST"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]
        handlers: dict[Any, Any] = {StrataError: engine_wire.answer_error}
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)

    async def completions(self, request: Request) -> Response:
        """Answer ``POST /v1/completions``."""
        engine_wire.require_secret(request, self._secret)
        asked = await engine_wire.asked(request)
        departure = Departure()
        question = self._question(asked.model_dump(exclude_none=True, exclude={"stream"}), departure)
        watch = asyncio.create_task(_watch(request, departure))
        try:
            if not asked.stream:
                return JSONResponse(await anyio.to_thread.run_sync(self._pool.generate, question))
            pieces = self._pool.stream(question)
            first = await anyio.to_thread.run_sync(next, pieces, None)
        finally:
            watch.cancel()
        return _Stream(first, pieces, departure)

    async def refresh(self, request: Request) -> Response:
        """Answer ``POST /v1/refresh``: look at the registry now."""
        engine_wire.require_secret(request, self._secret)
        self._poke()
        return JSONResponse({"status": "ok"}, status_code=202)

    async def health(self, request: Request) -> Response:
        """Answer ``GET /healthz``: what the servers hold, and how each of them is."""
        engine_wire.require_secret(request, self._secret)
        standings = await anyio.to_thread.run_sync(self._pool.standings)
        model_id, _, alias = self._follows.partition(":")
        held = {server.held.version_id for server in self._servers if not server.member.is_held}
        body = {
            "status": "ok" if None in {each.fault for each in standings.values()} else "failing",
            "live": [
                {"version_id": each, "model_id": model_id, "aliases": [alias]}
                for each in sorted(held - {None}, key=str)
            ],
            "loads": False,
            "requests": sum(each.requests for each in standings.values()),
            "servers": {name: each.fault or "ok" for name, each in standings.items()},
        }
        return JSONResponse(body, status_code=200 if body["status"] == "ok" else engine_wire.UNAVAILABLE)

    async def metrics(self, request: Request) -> Response:
        """Answer ``GET /metrics``: how each server is; what they measure, they tell themselves."""
        engine_wire.require_secret(request, self._secret)
        meters = server_meters(await anyio.to_thread.run_sync(self._pool.standings))
        return PlainTextResponse(generate_latest(meters).decode(), media_type=CONTENT_TYPE_LATEST)

    def _question(self, request: dict[str, object], departure: Departure) -> Question:
        """Return the question to the fleet.

        Raises:
            MissingError: it asks for another alias.
        """
        model_id = self._follows.partition(":")[0]
        reference = str(request["model"])
        if ":" in reference and reference != self._follows:
            raise MissingError("these servers follow another alias", code="alias_not_found")
        return Question(request=request, model_id=model_id, version_id=reference, departure=departure)


def server_meters(standings: Mapping[str, Standing]) -> CollectorRegistry:
    """Return what is measured of the servers."""
    registry = CollectorRegistry()
    up = Gauge("strata_vllm_server_up", "Whether the server answered.", ("server",), registry=registry)
    held = Gauge("strata_vllm_server_requests", "Requests under way there.", ("server",), registry=registry)
    for name, standing in standings.items():
        up.labels(name).set(standing.fault is None)
        held.labels(name).set(standing.requests)
    return registry


class _Stream(StreamingResponse):
    """Server-sent events of pieces, whose making ends with their sending."""

    def __init__(self, first: dict[str, Any] | None, pieces: Pieces, departure: Departure) -> None:
        super().__init__(_events(first, pieces), media_type="text/event-stream")
        self._pieces = pieces
        self._departure = departure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._departure.leave()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._pieces.close)


async def _events(first: dict[str, Any] | None, pieces: Pieces) -> AsyncIterator[str]:
    try:
        piece = first
        while piece is not None:
            yield f"data: {json.dumps(piece)}\n\n"
            piece = await anyio.to_thread.run_sync(next, pieces, None)
        yield "data: [DONE]\n\n"
    except StrataError as error:
        yield f"data: {json.dumps(engine_wire.error_body(error))}\n\n"


async def _watch(request: Request, departure: Departure) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    departure.leave()
