"""Rows of `project`."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from core.domain.records import Project
from core.registry.rows import columns
from core.registry.tables import PROJECT
from core.registry.work import Work

_ROWS: Final = select(*columns(PROJECT, Project))
# Asked at every task: building a statement takes longer than running it.
_BY_ID: Final = _ROWS.where(PROJECT.c.id == bindparam("project_id"))


def _built(row: Row[Any]) -> Project:
    return Project(**row._asdict())


def add(work: Work, *, project_id: str, name: str) -> None:
    """Create a project."""
    work.connection.execute(insert(PROJECT).values(id=project_id, name=name, created_ms=work.now_ms()))


def exists(work: Work, project_id: str) -> bool:
    """Return whether there is such a project."""
    return work.connection.execute(select(PROJECT.c.id).where(PROJECT.c.id == project_id)).first() is not None


def find(work: Work, project_id: str) -> Project | None:
    """Return the project of an id."""
    row = work.connection.execute(_BY_ID, {"project_id": project_id}).first()
    return _built(row) if row else None


def find_named(work: Work, name: str) -> Project | None:
    """Return the project of a name."""
    row = work.connection.execute(_ROWS.where(PROJECT.c.name == name)).first()
    return _built(row) if row else None


def lock(work: Work, project_id: str) -> None:
    """Hold the project's row until the end of the work: what counts against its quotas is then counted one by one.

    Rows that refer to the project may be written meanwhile.
    """
    work.connection.execute(select(PROJECT.c.id).where(PROJECT.c.id == project_id).with_for_update(key_share=True))


def change(work: Work, project_id: str, values: Mapping[str, int | None]) -> Project:
    """Set columns of a project that the caller knows to exist."""
    statement = update(PROJECT).where(PROJECT.c.id == project_id).values(**values)
    return _built(work.connection.execute(statement.returning(*columns(PROJECT, Project))).one())
