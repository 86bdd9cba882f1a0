"""What routes ask for by type. A transaction is not among them: routes open it where they use it.

A dependency that opens a transaction enters it on one worker thread and needs a second one for the route; with every
thread waiting for SQLite's single writer, the holder would never get that second thread.
"""

from typing import Annotated, Literal, cast

from fastapi import Depends, Path, Query
from starlette.requests import Request

from api.context import Context
from core.domain.errors import InvalidError, Place
from core.services.projects import DEFAULT_PROJECT_ID

_NAMED = r"^[A-Za-z0-9][A-Za-z0-9@:._-]*$"


def context(request: Request) -> Context:
    """Return what the application was assembled from."""
    return cast("Context", request.app.state.context)


def project_id() -> str:
    """Return the caller's project: there is one, until keys exist."""
    return DEFAULT_PROJECT_ID


def base_url(request: Request) -> str:
    """Return the address by which the caller reached the service, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def single_query_values(request: Request) -> None:
    """Refuse a query parameter that is given twice; `options` is a list.

    Raises:
        InvalidError: one is.
    """
    names = [name for name, _ in request.query_params.multi_items() if name != "options"]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        places = [Place(loc=("query", name[:64]), message="is given twice") for name in repeated]
        raise InvalidError("a query parameter is given twice", places=places)


class Cursor:
    """Which page of a list is wanted."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=100, description="Rows of one page.")] = 20,
        after: Annotated[
            str | None, Query(max_length=64, pattern=r"^[a-z]+_[0-9a-f]+$", description="Id of the row before.")
        ] = None,
        order: Annotated[Literal["asc", "desc"], Query(description="By time of creation.")] = "desc",
    ) -> None:
        self.limit = limit
        self.after = after
        self.order = order


Ctx = Annotated[Context, Depends(context)]
Project = Annotated[str, Depends(project_id)]
BaseUrl = Annotated[str, Depends(base_url)]
Paging = Annotated[Cursor, Depends()]
Named = Annotated[str, Path(max_length=200, pattern=_NAMED)]
