"""`Idempotency-Key`: a POST that is sent again changes nothing again, and gets the same answer, byte for byte."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.context import Context
from api.dependencies import Ctx, Project
from api.multipart import ReceivedFile
from core.domain.errors import MalformedError, Place
from core.registry.work import Work
from core.services import idempotency
from core.services.idempotency import Answer, Keyed

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
_MAX_ROUTE: Final = 255
_NOTHING: Final = b""
_KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Sent again with the same content, the request is not carried out again: it gets the same answer, "
        "with `Idempotency-Replayed: true`. 1 to 255 visible ASCII characters; kept for 24 hours.",
    ),
]


class Once:
    """One request that is carried out once, if it carries a key.

    ::

        return once.perform(lambda work: answer(202, views.job(…)))
    """

    def __init__(self, context: Context, *, project_id: str, key: str | None, route: str) -> None:
        self._context = context
        self._project_id = project_id
        self._key = key
        self._route = route

    def perform(self, change: Callable[[Work], Answer], *, content: bytes = _NOTHING) -> Response:
        """Return the answer of ``change``, made in a transaction of its own, or that of the first time.

        Args:
            change: makes the change and says what is answered.
            content: of the request, as `content_of` gives it.
        """
        if known := self.recall(content):
            return known
        with self._context.registry.write() as work:
            return self.settle(work, change, content=content)

    def recall(self, content: bytes) -> Response | None:
        """Return the answer of the first time; None if this is the first time."""
        if self._key is None:
            return None
        with self._context.registry.read() as work:
            known = idempotency.recall(work, self._asked(self._key, content))
        return None if known is None else _response(known, replayed=True)

    def settle(self, work: Work, change: Callable[[Work], Answer], *, content: bytes) -> Response:
        """As `perform`, within a transaction that the caller opened."""
        if self._key is None:
            return _response(change(work), replayed=False)
        given, is_old = idempotency.once(work, self._asked(self._key, content), lambda: change(work))
        return _response(given, replayed=is_old)

    def _asked(self, key: str, content: bytes) -> Keyed:
        sha256 = hashlib.sha256(self._route.encode() + b"\n" + content).hexdigest()
        return Keyed(project_id=self._project_id, key=key, route=self._route[:_MAX_ROUTE], request_sha256=sha256)


def answer(status: int, view: BaseModel, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what is sent back."""
    return Answer(status=status, body=view.model_dump_json(), headers=headers or {})


def content_of(body: BaseModel | None, files: Mapping[str, ReceivedFile] | None = None) -> bytes:
    """Return what must be the same for a request to be the same: the fields that were given, the files' hashes."""
    hashes = sorted(f"{part}:{file.report.sha256}" for part, file in (files or {}).items())
    fields = [body.model_dump_json(exclude_unset=True)] if body else []
    return "\n".join([*fields, *hashes]).encode()


async def _once(request: Request, context: Ctx, project: Project, key: _KeyHeader = None) -> Once:
    if len(request.headers.getlist("idempotency-key")) > 1 or (key is not None and not _KEY.match(key)):
        message = "must be given once, with 1 to 255 visible ASCII characters"
        places = [Place(loc=("header", "Idempotency-Key"), message=message)]
        raise MalformedError(f"the key {message}", code="invalid_idempotency_key", places=places)
    return Once(context, project_id=project, key=key, route=f"{request.method} {request.url.path}")


def _response(given: Answer, *, replayed: bool) -> Response:
    headers = {**given.headers, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return Response(given.body, status_code=given.status, media_type="application/json", headers=headers)


OnceOnly = Annotated[Once, Depends(_once)]
