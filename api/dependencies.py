"""What routes ask for by type. What waits for nothing is `async`: anything else costs a turn on a thread.

A transaction is not among them: routes open it where they use it.

A dependency that opens a transaction enters it on one worker thread and needs a second one for the route; with every
thread waiting for SQLite's single writer, the holder would never get that second thread.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal, cast

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from structlog.contextvars import bind_contextvars

from api.context import Context
from core.domain.access import Caller
from core.domain.errors import InvalidError, Place

# A query is text: what Python would also take for a number (`1_0`, `1.0`, other scripts' digits) is none here.
_WHOLE = re.compile(r"-?[0-9]+\Z")
_NAMED = r"^[A-Za-z0-9][A-Za-z0-9@:._-]*$"


def caller(request: Request) -> Caller | None:
    """Return who calls, once they may; None on a route that answers everybody. Every route depends on it.

    Raises:
        StrataError: they may not, see `api.security.Security.admit`.
    """
    return cast("Caller | None", request.app.state.security.admit(request))


async def known_caller(who: Annotated[Caller | None, Depends(caller)]) -> Caller:
    """Return who calls a route that needs a key."""
    if who is None:
        raise LookupError("a route that answers everybody is nobody's")
    return who


async def context(request: Request, who: Annotated[Caller | None, Depends(caller)]) -> Context:
    """Return what the application was assembled from; what is changed through it, the caller changed.

    What is logged from here on tells of whose request it is; each request runs in a context of its own.
    """
    assembled = cast("Context", request.app.state.context)
    bind_contextvars(request_id=request.state.request_id)
    if who is None:
        return assembled
    bind_contextvars(project_id=who.project_id, actor=who.actor)
    return replace(assembled, registry=assembled.registry.acting_as(who.actor))


async def project_id(who: Annotated[Caller, Depends(known_caller)]) -> str:
    """Return the caller's project: it is the key's, whatever a request says."""
    return who.project_id


async def base_url(request: Request) -> str:
    """Return the address by which the caller reached the service, without a slash at the end."""
    return str(request.base_url).rstrip("/")


async def single_query_values(request: Request) -> None:
    """Refuse a query parameter that is given twice; `options` is a list.

    Raises:
        InvalidError: one is.
    """
    names = [name for name, _ in request.query_params.multi_items() if name != "options"]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        places = [Place(loc=("query", name[:64]), message="is given twice") for name in repeated]
        raise InvalidError("a query parameter is given twice", places=places)


def _digits(value: object) -> object:
    if isinstance(value, str) and not _WHOLE.match(value):
        raise ValueError("must be a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_digits)]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page of a list is wanted."""

    limit: int
    after: str | None
    order: Literal["asc", "desc"]


After = Annotated[str | None, Query(max_length=64, pattern=r"^[a-z]+_[0-9a-f]+$", description="Id of the row before.")]
ByTime = Annotated[Literal["asc", "desc"], Query(description="By time of creation.")]


async def cursor(
    limit: Annotated[Whole, Query(ge=1, le=100, description="Rows of one page.")] = 20,
    after: After = None,
    order: ByTime = "desc",
) -> Cursor:
    """Return which page of a list is wanted."""
    return Cursor(limit, after, order)


Ctx = Annotated[Context, Depends(context)]
Project = Annotated[str, Depends(project_id)]
Known = Annotated[Caller, Depends(known_caller)]
BaseUrl = Annotated[str, Depends(base_url)]
Paging = Annotated[Cursor, Depends(cursor)]
Named = Annotated[str, Path(max_length=200, pattern=_NAMED)]
