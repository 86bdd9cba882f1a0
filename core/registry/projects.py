"""Rows of `project`."""

from sqlalchemy import insert, select

from core.registry.tables import PROJECT
from core.registry.work import Work


def add(work: Work, *, project_id: str, name: str) -> None:
    """Create a project."""
    work.connection.execute(insert(PROJECT).values(id=project_id, name=name, created_ms=work.now_ms()))


def exists(work: Work, project_id: str) -> bool:
    """Return whether there is such a project."""
    return work.connection.execute(select(PROJECT.c.id).where(PROJECT.c.id == project_id)).first() is not None
