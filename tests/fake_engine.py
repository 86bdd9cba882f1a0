"""An engine on the wire without a network: it says what is live, and answers in words by its own name."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


class FakeEngine:
    """One engine, what it holds, what it was asked, and how it fails."""

    def __init__(self, name: str, *, live: dict[str, list[str]] | None = None, loads: bool = True) -> None:
        self.name = name
        self.live = live or {}
        self.loads = loads
        self.requests = 0
        self.is_well = True
        self.refuses: tuple[int, str] | None = None
        self.breaks_after: int | None = None
        self.retry_after = "1"
        self.begins_after = 0.0
        self.answer_seconds = 0.0
        self.asked: list[dict[str, Any]] = []
        self.left = 0

    def app(self) -> Starlette:
        routes = [
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/v1/completions", self.completions, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def health(self, _: Request) -> Response:
        live = [{"version_id": key, "model_id": "mdl_1", "aliases": aliases} for key, aliases in self.live.items()]
        body = {"status": "ok", "live": live, "loads": self.loads, "requests": self.requests}
        return JSONResponse(body, status_code=200 if self.is_well else 503)

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(
            "# HELP strata_engine_tokens_total Tokens.\n# TYPE strata_engine_tokens_total counter\n"
            f'strata_engine_tokens_total{{kind="prompt"}} {len(self.asked)}.0\n'
        )

    async def completions(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if self.refuses is not None:
            status, code = self.refuses
            return JSONResponse({"code": code, "detail": "no"}, status, headers={"Retry-After": self.retry_after})
        if body["stream"]:
            return StreamingResponse(self._events(body), media_type="text/event-stream")
        gone = asyncio.create_task(request.receive())
        await asyncio.wait([gone], timeout=self.answer_seconds)
        if gone.done() and gone.result()["type"] == "http.disconnect":
            self.left += 1
        gone.cancel()
        return JSONResponse(self._piece(body, "whole", "stop"))

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[str]:
        try:
            await asyncio.sleep(self.begins_after)
            for n in range(4):
                if n == self.breaks_after:
                    raise RuntimeError("the engine died")
                yield f"data: {json.dumps(self._piece(body, f'{n} ', 'stop' if n == 3 else None))}\n\n"
                await asyncio.sleep(self.answer_seconds)
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise

    def _piece(self, body: dict[str, Any], text: str, reason: str | None) -> dict[str, Any]:
        return {
            "id": "cmpl_1",
            "object": "text_completion",
            "created": 1,
            "model": body["model"],
            "version_id": next(iter(self.live), "ver_0"),
            "by": self.name,
            "choices": [{"index": 0, "text": text, "finish_reason": reason, "logprobs": None}],
        }
