"""Rows of `api_key`. A revoked key is gone for everybody but the audit, so only living ones are found."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, insert, or_, select, update

from core.domain.access import Caller, Scope
from core.domain.identifiers import new_id
from core.domain.records import ApiKey, Page
from core.registry.access_tables import API_KEY
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import PROJECT
from core.registry.work import CLOCKS, Work

_LIVING = select(*columns(API_KEY, ApiKey)).where(API_KEY.c.revoked_ms.is_(None))
_OF_PROJECT = _LIVING.where(API_KEY.c.project_id == bindparam("project_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Whom a key's hash names, and whether it is time to note that it was used."""

    caller: Caller
    is_use_due: bool


def _built(row: Row[Any]) -> ApiKey:
    return ApiKey(**row._asdict() | {"scopes": tuple(row.scopes)})


def any_exist(work: Work) -> bool:
    """Return whether a key was ever made, revoked or not."""
    return work.connection.execute(select(API_KEY.c.id).limit(1)).first() is not None


def match(work: Work, *, sha256: str, noted_within_ms: int) -> Match | None:
    """Return whom a hash names, in one query; None unless it is a living key's.

    Its use is due to be noted when it was not within the last ``noted_within_ms``.
    """
    asked = {"sha256": sha256, "noted_within_ms": noted_within_ms}
    row = work.connection.execute(_matching(work.connection.dialect.name), asked).first()
    if row is None:
        return None
    caller = Caller(
        project_id=row.project_id,
        key_id=row.id,
        scopes=frozenset(map(Scope, row.scopes)),
        max_requests_per_minute=row.max_requests_per_minute,
        max_generations=row.max_generations,
    )
    return Match(caller=caller, is_use_due=bool(row.is_use_due))


@cache
def _matching(dialect: str) -> Select[Any]:
    """Build what every call asks once: that takes longer than running it."""
    clock = CLOCKS[dialect]
    is_due = or_(API_KEY.c.last_used_ms.is_(None), API_KEY.c.last_used_ms < clock - bindparam("noted_within_ms"))
    return (
        select(
            API_KEY.c.id,
            API_KEY.c.project_id,
            API_KEY.c.scopes,
            PROJECT.c.max_requests_per_minute,
            PROJECT.c.max_generations,
            case((is_due, 1), else_=0).label("is_use_due"),
        )
        .join(PROJECT, PROJECT.c.id == API_KEY.c.project_id)
        .where(API_KEY.c.sha256 == bindparam("sha256"), API_KEY.c.revoked_ms.is_(None), _not_expired(clock))
    )


def is_valid(work: Work, key_id: str) -> bool:
    """Return whether the key is neither revoked nor expired."""
    query = select(API_KEY.c.id).where(API_KEY.c.id == key_id, API_KEY.c.revoked_ms.is_(None), _not_expired(work.clock))
    return work.connection.execute(query).first() is not None


def note_use(work: Work, key_id: str) -> None:
    """Remember that the key was used now."""
    work.connection.execute(update(API_KEY).where(API_KEY.c.id == key_id).values(last_used_ms=work.now_ms()))


def add(work: Work, *, sha256: str, **values: Any) -> ApiKey:
    """Insert a key."""
    key_id = new_id("key")
    work.connection.execute(insert(API_KEY).values(id=key_id, sha256=sha256, created_ms=work.now_ms(), **values))
    return _built(work.connection.execute(_LIVING.where(API_KEY.c.id == key_id)).one())


def find(work: Work, *, project_id: str, key_id: str) -> ApiKey | None:
    """Return the project's living key of an id, and hold it until the end of the work."""
    query = _LIVING.where(API_KEY.c.project_id == project_id, API_KEY.c.id == key_id).with_for_update()
    row = work.connection.execute(query).first()
    return _built(row) if row else None


def page(work: Work, *, project_id: str, cursor: Cursor) -> Page[ApiKey]:
    """Return the project's living keys."""
    return fetch(work, _OF_PROJECT, API_KEY, cursor=cursor, build=_built, project_id=project_id)


def revoke(work: Work, key_id: str) -> None:
    """End the key's life."""
    work.connection.execute(update(API_KEY).where(API_KEY.c.id == key_id).values(revoked_ms=work.now_ms()))


def _not_expired(clock: ColumnElement[int]) -> ColumnElement[bool]:
    return or_(API_KEY.c.expires_ms.is_(None), API_KEY.c.expires_ms > clock)
