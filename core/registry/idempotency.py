"""Rows of `idempotency`: what was answered under a key, written in the transaction that made the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exc, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.domain.errors import ConflictError
from core.registry.access_tables import IDEMPOTENCY
from core.registry.rows import columns
from core.registry.work import Work

_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What a request was answered, and what the request was."""

    route: str
    request_sha256: str
    status: int
    headers: Mapping[str, str]
    body: str


def find(work: Work, *, project_id: str, key: str) -> StoredAnswer | None:
    """Return the answer under a key; None while there is none."""
    query = select(*columns(IDEMPOTENCY, StoredAnswer)).where(
        _match(project_id, key), IDEMPOTENCY.c.status.is_not(None)
    )
    row = work.connection.execute(query).first()
    return StoredAnswer(**row._asdict()) if row else None


def take(work: Work, *, project_id: str, key: str, route: str, request_sha256: str) -> bool:
    """Reserve a key for this work; return False if it has an answer.

    Another work that holds the key is waited for: on PostgreSQL as long as for any lock, on SQLite its turn is over.

    Raises:
        ConflictError: ``request_in_flight``: it took too long.
    """
    values = {"project_id": project_id, "key": key, "route": route, "request_sha256": request_sha256}
    dialect = sqlite if work.connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(IDEMPOTENCY).values(created_ms=work.now_ms(), **values).on_conflict_do_nothing()
    try:
        return work.connection.execute(statement).rowcount == 1
    except exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise ConflictError("a request with this key is still being answered", code="request_in_flight") from error


def store(work: Work, *, project_id: str, key: str, status: int, headers: Mapping[str, str], body: str) -> None:
    """Keep the answer under the key that this work took."""
    answer = {"status": status, "headers": dict(headers), "body": body}
    work.connection.execute(update(IDEMPOTENCY).where(_match(project_id, key)).values(**answer))


def prune(work: Work, *, before_ms: int) -> int:
    """Forget the answers older than ``before_ms``; return how many."""
    return work.connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_ms < before_ms)).rowcount


def _match(project_id: str, key: str) -> ColumnElement[bool]:
    return and_(IDEMPOTENCY.c.project_id == project_id, IDEMPOTENCY.c.key == key)
