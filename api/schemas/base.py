"""What all answers share: frozen shapes, RFC 3339 times, lists with a cursor."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core.domain.times import timestamp

__all__ = ["ListView", "Request", "View", "listed", "timestamp", "timestamp_or_none"]

T = TypeVar("T")


class Request(BaseModel):
    """Root of every body: no unknown fields, no conversions, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class View(BaseModel):
    """Root of every answer."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ListView(View, Generic[T]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | int | None = None
    last_id: str | int | None = Field(default=None, description="Give it as `after` to get the next page.")
    has_more: bool = False


def listed(rows: Sequence[T], ids: Sequence[str | int], *, has_more: bool) -> ListView[T]:
    """Return one page; ``ids`` are those of its rows."""
    return ListView[T](
        data=list(rows), first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=has_more
    )


def timestamp_or_none(ms: int | None) -> str | None:
    """Return `timestamp`, or None for what has not happened."""
    return None if ms is None else timestamp(ms)
