"""Lists by cursor: rows in the order of their ids, which is the order of their creation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Row, Select, Table, bindparam

from core.domain.errors import InvalidError, Place
from core.domain.records import Page
from core.registry.work import Work

Order = Literal["asc", "desc"]
T = TypeVar("T")
MAX_LIMIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind the id ``after``, in ``order``, with at most ``limit`` rows."""

    limit: int
    after: str | None
    order: Order

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            places = [Place(loc=("limit",), message=f"must be between 1 and {MAX_LIMIT}")]
            raise InvalidError("not a valid page", places=places)


def fetch(
    work: Work, query: Select[Any], table: Table, *, cursor: Cursor, build: Callable[[Row[Any]], T], **asked: Any
) -> Page[T]:
    """Return the page that ``cursor`` names of ``query``.

    The query selects from ``table`` and is built once, at import or by a cached function, with parameters for what is
    ``asked``: building a statement takes longer than running it.
    """
    place = {"page_rows": cursor.limit + 1} | ({} if cursor.after is None else {"page_after": cursor.after})
    rows = work.connection.execute(_page(query, table, cursor.order, cursor.after is None), asked | place).all()
    return Page(data=tuple(build(row) for row in rows[: cursor.limit]), has_more=len(rows) > cursor.limit)


@cache
def _page(query: Select[Any], table: Table, order: Order, is_first: bool) -> Select[Any]:  # noqa: FBT001 - a cache's key
    ascending = order == "asc"
    query = query.order_by(table.c.id.asc() if ascending else table.c.id.desc()).limit(bindparam("page_rows"))
    if is_first:
        return query
    after = bindparam("page_after", type_=table.c.id.type)
    return query.where(table.c.id > after if ascending else table.c.id < after)
