"""Rows of `model`. Its counters (fence, place in the queue, version number) only grow."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Row, insert, or_, select, update

from core.domain.records import Json, Model, Page
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import MODEL
from core.registry.work import Work

_LIVING = select(*columns(MODEL, Model)).where(MODEL.c.deleted_ms.is_(None))


def _built(row: Row[Any]) -> Model:
    return Model(**row._asdict())


def add(  # noqa: PLR0913 - a row's columns, each by name
    work: Work, *, model_id: str, project_id: str, name: str, base_model_id: str, method: Json, policy: Json
) -> Model:
    """Insert a model whose next version is @0."""
    counters = {"fence": 0, "next_seq": 1, "next_number": 0}
    made = {"method": dict(method), "policy": dict(policy), "created_ms": work.now_ms()}
    owner = {"project_id": project_id, "base_model_id": base_model_id}
    work.connection.execute(insert(MODEL).values(id=model_id, name=name, **owner, **counters, **made))
    return get(work, model_id)


def find(work: Work, *, project_id: str, reference: str) -> Model | None:
    """Return the project's living model of a name or id."""
    match = or_(MODEL.c.id == reference, MODEL.c.name == reference)
    row = work.connection.execute(_LIVING.where(MODEL.c.project_id == project_id, match)).first()
    return _built(row) if row else None


def get(work: Work, model_id: str) -> Model:
    """Return a living model that another row refers to."""
    return _built(work.connection.execute(_LIVING.where(MODEL.c.id == model_id)).one())


def page(work: Work, *, project_id: str, cursor: Cursor) -> Page[Model]:
    """Return the project's living models."""
    return fetch(work, _LIVING.where(MODEL.c.project_id == project_id), MODEL, cursor=cursor, build=_built)


def living_by_id(work: Work, model_ids: Collection[str]) -> dict[str, Model]:
    """Return the living ones of some models by their ids."""
    return {row.id: _built(row) for row in work.connection.execute(_LIVING.where(MODEL.c.id.in_(model_ids)))}


def all_living(work: Work) -> dict[str, Model]:
    """Return the living models of all projects, by id."""
    return {row.id: _built(row) for row in work.connection.execute(_LIVING)}


def lock(work: Work, model_id: str) -> None:
    """Hold the model's row until the end of the work: its aliases and history change one work at a time."""
    work.connection.execute(select(MODEL.c.id).where(MODEL.c.id == model_id).with_for_update()).one()


def lock_if_there(work: Work, model_id: str) -> bool:
    """Hold the model's row as `lock` does; return False if there is none."""
    return (
        work.connection.execute(select(MODEL.c.id).where(MODEL.c.id == model_id).with_for_update()).first() is not None
    )


def _counted(work: Work, model_id: str, column: Column[Any]) -> int:
    growth = update(MODEL).where(MODEL.c.id == model_id).values({column: column + 1}).returning(column)
    return int(work.connection.execute(growth).scalar_one())


def next_fence(work: Work, model_id: str) -> int:
    """Return the number of a new claim; it locks the model."""
    return _counted(work, model_id, MODEL.c.fence)


def next_seq(work: Work, model_id: str) -> int:
    """Return the place behind everything that the model queued so far; it locks the model."""
    return _counted(work, model_id, MODEL.c.next_seq) - 1


def next_number(work: Work, model_id: str) -> int:
    """Return the number of a new version; it locks the model."""
    return _counted(work, model_id, MODEL.c.next_number) - 1


def mark_deleted(work: Work, model_id: str) -> None:
    """End the model's life."""
    work.connection.execute(update(MODEL).where(MODEL.c.id == model_id).values(deleted_ms=work.now_ms()))
