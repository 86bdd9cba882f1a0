"""Rows of `model`. Its counters (fence, place in the queue, version number) only grow."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Column, Row, bindparam, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from core.domain.errors import MissingError
from core.domain.records import Json, Model, Page
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import MODEL
from core.registry.work import Work

_LIVING: Final = select(*columns(MODEL, Model)).where(MODEL.c.deleted_ms.is_(None))
# What is asked at every call is built once: building a statement takes longer than running it.
_OF_PROJECT: Final = _LIVING.where(MODEL.c.project_id == bindparam("project_id"))
_REFERRED: Final = _OF_PROJECT.where(or_(MODEL.c.id == bindparam("reference"), MODEL.c.name == bindparam("reference")))
_BY_IDS: Final = _LIVING.where(MODEL.c.id.in_(bindparam("model_ids", expanding=True)))


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
    row = work.connection.execute(_REFERRED, {"project_id": project_id, "reference": reference}).first()
    return _built(row) if row else None


def get(work: Work, model_id: str) -> Model:
    """Return a living model that another row refers to."""
    return _built(work.connection.execute(_LIVING.where(MODEL.c.id == model_id)).one())


def page(work: Work, *, project_id: str, cursor: Cursor) -> Page[Model]:
    """Return the project's living models."""
    return fetch(work, _OF_PROJECT, MODEL, cursor=cursor, build=_built, project_id=project_id)


def living_by_id(work: Work, model_ids: Collection[str]) -> dict[str, Model]:
    """Return the living ones of some models by their ids."""
    return {row.id: _built(row) for row in work.connection.execute(_BY_IDS, {"model_ids": [*model_ids]})}


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


def _growth(column: Column[Any]) -> ReturningUpdate[Any]:
    return update(MODEL).where(MODEL.c.id == bindparam("model_id")).values({column: column + 1}).returning(column)


_NEXT_FENCE: Final = _growth(MODEL.c.fence)
_NEXT_SEQ: Final = _growth(MODEL.c.next_seq).where(MODEL.c.deleted_ms.is_(None))
_NEXT_NUMBER: Final = _growth(MODEL.c.next_number)


def next_fence(work: Work, model_id: str) -> int:
    """Return the number of a new claim; it locks the model."""
    return int(work.connection.execute(_NEXT_FENCE, {"model_id": model_id}).scalar_one())


def next_seq(work: Work, model_id: str) -> int:
    """Return the place behind everything that the model queued so far; it locks the model.

    Raises:
        MissingError: ``model_not_found``: it was deleted meanwhile.
    """
    grown = work.connection.execute(_NEXT_SEQ, {"model_id": model_id}).scalar_one_or_none()
    if grown is None:
        raise MissingError("there is no such model", code="model_not_found")
    return int(grown) - 1


def next_number(work: Work, model_id: str) -> int:
    """Return the number of a new version; it locks the model."""
    return int(work.connection.execute(_NEXT_NUMBER, {"model_id": model_id}).scalar_one()) - 1


def set_policy(work: Work, model_id: str, *, policy: Json) -> None:
    """Replace a model's policy. Hold `lock` first."""
    work.connection.execute(update(MODEL).where(MODEL.c.id == model_id).values(policy=dict(policy)))


def mark_deleted(work: Work, model_id: str) -> None:
    """End the model's life."""
    work.connection.execute(update(MODEL).where(MODEL.c.id == model_id).values(deleted_ms=work.now_ms()))
