"""Lists by cursor: rows in the order of their ids, which is the order of their creation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Row, Select, Table

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


def fetch(work: Work, query: Select[Any], table: Table, *, cursor: Cursor, build: Callable[[Row[Any]], T]) -> Page[T]:
    """Return the page of ``query``, which selects from ``table``, that ``cursor`` names."""
    ascending = cursor.order == "asc"
    query = query.order_by(table.c.id.asc() if ascending else table.c.id.desc()).limit(cursor.limit + 1)
    if cursor.after is not None:
        query = query.where(table.c.id > cursor.after if ascending else table.c.id < cursor.after)
    rows = work.connection.execute(query).all()
    return Page(data=tuple(build(row) for row in rows[: cursor.limit]), has_more=len(rows) > cursor.limit)
