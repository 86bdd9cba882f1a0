"""Rows of `base_model`."""

from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, or_, select, update

from core.domain.records import BaseModel, BaseModelState, Page
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import BASE_MODEL
from core.registry.work import Work

_ROWS: Final = select(*columns(BASE_MODEL, BaseModel))
# Asked at every task: building a statement takes longer than running it.
_BY_ID: Final = _ROWS.where(BASE_MODEL.c.id == bindparam("base_model_id"))


def _built(row: Row[Any]) -> BaseModel:
    return BaseModel(**row._asdict() | {"state": BaseModelState(row.state)})


def add(work: Work, *, base_model_id: str, name: str, source: str) -> BaseModel:
    """Insert a base model that waits for its inspection."""
    values = {"state": BaseModelState.PENDING, "created_ms": work.now_ms()}
    work.connection.execute(insert(BASE_MODEL).values(id=base_model_id, name=name, source=source, **values))
    return get(work, base_model_id)


def find(work: Work, reference: str) -> BaseModel | None:
    """Return the base model of a name or id."""
    match = or_(BASE_MODEL.c.id == reference, BASE_MODEL.c.name == reference)
    row = work.connection.execute(_ROWS.where(match)).first()
    return _built(row) if row else None


def find_digest(work: Work, digest: str) -> BaseModel | None:
    """Return the ready base model whose tensors have a digest, the oldest if there are several."""
    match = (BASE_MODEL.c.digest == digest, BASE_MODEL.c.state == BaseModelState.READY)
    row = work.connection.execute(_ROWS.where(*match).order_by(BASE_MODEL.c.id).limit(1)).first()
    return _built(row) if row else None


def get(work: Work, base_model_id: str) -> BaseModel:
    """Return a base model that another row refers to."""
    return _built(work.connection.execute(_BY_ID, {"base_model_id": base_model_id}).one())


def change(work: Work, base_model_id: str, **values: Any) -> BaseModel:
    """Set columns of a base model."""
    work.connection.execute(update(BASE_MODEL).where(BASE_MODEL.c.id == base_model_id).values(**values))
    return get(work, base_model_id)


def page(work: Work, cursor: Cursor) -> Page[BaseModel]:
    """Return base models."""
    return fetch(work, _ROWS, BASE_MODEL, cursor=cursor, build=_built)


def all_by_id(work: Work) -> dict[str, BaseModel]:
    """Return every base model."""
    return {row.id: _built(row) for row in work.connection.execute(_ROWS)}
