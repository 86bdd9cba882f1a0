"""Rows of `task`."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select

from core.domain.records import Page, Task
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import TASK
from core.registry.work import Work

_ROWS: Final = select(*columns(TASK, Task))
# What is asked at every call is built once: building a statement takes longer than running it.
_INSERT: Final = insert(TASK)
_OF_PROJECT: Final = _ROWS.where(TASK.c.project_id == bindparam("project_id"))
_OF_MODEL: Final = _OF_PROJECT.where(TASK.c.model_id == bindparam("model_id"))
_NAMED: Final = _ROWS.where(TASK.c.model_id == bindparam("model_id"), TASK.c.name == bindparam("name"))
_BY_IDS: Final = _ROWS.where(TASK.c.id.in_(bindparam("task_ids", expanding=True)))


def _built(row: Row[Any]) -> Task:
    return Task(**row._asdict())


def add(work: Work, *, task_id: str, **values: Any) -> Task:
    """Insert a task."""
    row: dict[str, Any] = {"id": task_id, "created_ms": work.now_ms(), **values}
    work.connection.execute(_INSERT, row)
    return Task(**row)


def find(work: Work, *, project_id: str, task_id: str) -> Task | None:
    """Return the project's task of an id."""
    row = work.connection.execute(_ROWS.where(TASK.c.project_id == project_id, TASK.c.id == task_id)).first()
    return _built(row) if row else None


def find_named(work: Work, *, model_id: str, name: str) -> Task | None:
    """Return the task of a name in a model."""
    row = work.connection.execute(_NAMED, {"model_id": model_id, "name": name}).first()
    return _built(row) if row else None


def get(work: Work, task_id: str) -> Task:
    """Return a task that another row refers to."""
    return _built(work.connection.execute(_ROWS.where(TASK.c.id == task_id)).one())


def by_id(work: Work, task_ids: Collection[str]) -> dict[str, Task]:
    """Return some tasks by their ids."""
    return {row.id: _built(row) for row in work.connection.execute(_BY_IDS, {"task_ids": [*task_ids]})}


def page(work: Work, *, project_id: str, model_id: str | None, cursor: Cursor) -> Page[Task]:
    """Return the project's tasks, or those of one model."""
    query = _OF_PROJECT if model_id is None else _OF_MODEL
    return fetch(work, query, TASK, cursor=cursor, build=_built, project_id=project_id, model_id=model_id)
