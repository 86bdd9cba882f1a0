"""A server that behaves as vLLM documents, over real HTTP, answering in words instead of by a network.

Its pages say: `/health`, `/v1/models`, completions and chat in one piece and as server-sent events with
`stream_options.include_usage`, `structured_outputs.choice`, errors in a member `error`; and with the development mode
on, `/sleep`, `/wake_up`, `/collective_rpc` and `/is_sleeping`. It reads its weights from a folder, so that a test sees
by which ones it answers: each answer begins with the first characters of the file's hash.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def mark_of(folder: Path) -> str:
    """Return what answers by the weights of a folder begin with."""
    hasher = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()[:12]


class FakeVllm:
    """One server: its name for the model, the folder that it was started with, and what it was asked."""

    def __init__(
        self, name: str, folder: Path | None = None, *, dev_mode: bool = False, key: str | None = None
    ) -> None:
        self.name = name
        self.folder = folder
        self.dev_mode = dev_mode
        self.key = key
        self.asked: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.left = 0
        self.answer_seconds = 0.0
        self.refuses: Response | None = None
        self.fails_at: str | None = None
        self.asleep: set[str] = set()
        self.mark = mark_of(folder) if folder else "words"

    def app(self) -> Starlette:
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]
        if self.dev_mode:
            routes += [
                Route("/sleep", self.sleep, methods=["POST"]),
                Route("/wake_up", self.wake_up, methods=["POST"]),
                Route("/collective_rpc", self.collective_rpc, methods=["POST"]),
                Route("/is_sleeping", self.is_sleeping),
            ]
        return Starlette(routes=routes)

    async def health(self, _: Request) -> Response:
        return Response(status_code=200)

    async def models(self, request: Request) -> Response:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "Unauthorized"}, status_code=401)
        return JSONResponse(
            {"object": "list", "data": [{"id": self.name, "object": "model", "root": str(self.folder)}]}
        )

    async def sleep(self, request: Request) -> Response:
        assert request.query_params["level"] == "2"
        self.asleep = {"weights", "kv_cache"}
        return self._done("sleep")

    async def wake_up(self, request: Request) -> Response:
        tags = request.query_params.getlist("tags") or ["weights", "kv_cache"]
        self.asleep -= set(tags)
        return self._done(f"wake_up {' '.join(tags)}")

    async def collective_rpc(self, request: Request) -> Response:
        method = (await request.json())["method"]
        assert self.folder is not None
        if method == "reload_weights" and self.fails_at != "reload_weights":
            self.mark = mark_of(self.folder)
        return self._done(method)

    async def is_sleeping(self, _: Request) -> Response:
        return JSONResponse({"is_sleeping": bool(self.asleep)})

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, chat=False)

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, chat=True)

    def _done(self, call: str) -> Response:
        self.calls.append(call)
        return Response(status_code=500 if self.fails_at == call else 200)

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        body = await request.json()
        self.asked.append({**body, "authorization": request.headers.get("authorization")})
        if self.refuses is not None:
            return self.refuses
        if self.asleep:
            return JSONResponse({"error": {"message": "asleep", "type": "x", "code": 503}}, status_code=503)
        if body["model"] != self.name:
            fault = {"message": f"The model `{body['model']}` does not exist.", "type": "NotFoundError", "code": 404}
            return JSONResponse({"error": fault}, status_code=404)
        said = body["messages"][-1]["content"] if chat else body["prompt"]
        choices = (body.get("structured_outputs") or {}).get("choice")
        words = [choices[-1]] if choices else [self.mark, *(f" {word}" for word in said.split())]
        told = _Telling(self, chat=chat, logprobs=body.get("top_logprobs" if chat else "logprobs"))
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return StreamingResponse(told.events(words, tells_usage=usage), media_type="text/event-stream")
        await self._work(request)
        return JSONResponse(told.whole(words))

    async def _work(self, request: Request) -> None:
        """Take the time of an answer, unless nobody waits for it."""
        gone = asyncio.create_task(request.receive())
        await asyncio.wait([gone], timeout=self.answer_seconds)
        if gone.done() and gone.result()["type"] == "http.disconnect":
            self.left += 1
        gone.cancel()


class _Telling:
    def __init__(self, server: FakeVllm, *, chat: bool, logprobs: int | None) -> None:
        self._server = server
        self._chat = chat
        self._logprobs = logprobs

    def whole(self, words: list[str]) -> dict[str, Any]:
        text = "".join(words)
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "stop", "logprobs": self._told(words)}
        return self._around([choice]) | {"usage": self._usage(words)}

    async def events(self, words: list[str], *, tells_usage: bool) -> AsyncIterator[str]:
        try:
            for n, word in enumerate(words):
                said: dict[str, Any] = {"delta": {"content": word}} if self._chat else {"text": word}
                reason = "stop" if n == len(words) - 1 else None
                yield self._event([{"index": 0, **said, "finish_reason": reason, "logprobs": self._told([word])}])
                await asyncio.sleep(self._server.answer_seconds)
            if tells_usage:
                yield f"data: {json.dumps(self._around([]) | {'usage': self._usage(words)})}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self._server.left += 1
            raise

    def _event(self, choices: list[dict[str, Any]]) -> str:
        return f"data: {json.dumps(self._around(choices))}\n\n"

    def _around(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion" if self._chat else "text_completion"
        return {
            "id": "cmpl-1",
            "object": kind,
            "created": int(time.time()),
            "model": self._server.name,
            "choices": choices,
        }

    def _usage(self, words: list[str]) -> dict[str, int]:
        return {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3 + len(words)}

    def _told(self, words: list[str]) -> dict[str, Any] | None:
        if self._logprobs is None:
            return None
        likely = [("?", -2.0)] * min(self._logprobs, 1)
        if self._chat:
            tops = [{"token": text, "logprob": value, "bytes": None} for text, value in likely]
            return {"content": [{"token": w, "logprob": -0.5, "bytes": None, "top_logprobs": tops} for w in words]}
        return {
            "tokens": words,
            "token_logprobs": [-0.5] * len(words),
            "top_logprobs": [dict(likely) for _ in words],
            "text_offset": [0] * len(words),
        }


def main(port: str, name: str, folder: str) -> None:
    """Serve as `vllm serve FOLDER --served-model-name NAME --port PORT` does, for restarts."""
    uvicorn.run(FakeVllm(name, Path(folder)).app(), host="127.0.0.1", port=int(port), log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
