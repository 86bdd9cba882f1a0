"""Rows of `export`. One is there for as long as its version is: neither it nor its model is deleted."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, delete, func, insert, select, update

from core.domain.exports import Export, ExportDtype, ExportFormat
from core.domain.records import Page
from core.domain.versions import VersionState
from core.registry.export_tables import EXPORT
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import MODEL, VERSION
from core.registry.work import Work


def _of_living_versions(query: Select[Any]) -> Select[Any]:
    versions = query.join(VERSION, VERSION.c.id == EXPORT.c.version_id).join(MODEL, MODEL.c.id == EXPORT.c.model_id)
    return versions.where(VERSION.c.state != VersionState.DELETED, MODEL.c.deleted_ms.is_(None))


_ROWS: Final = _of_living_versions(select(*columns(EXPORT, Export)))


def add(work: Work, **values: Any) -> Export:
    """Insert an export that is to be built."""
    built = dict.fromkeys(("manifest_sha256", "artefact", "size_bytes", "files", "parity", "ready_ms"))
    row: dict[str, Any] = {"created_ms": work.now_ms(), **built, **values}
    work.connection.execute(insert(EXPORT), row)
    return Export(**row)


def find(work: Work, *, project_id: str, export_id: str) -> Export | None:
    """Return the project's export of an id."""
    row = work.connection.execute(_ROWS.where(EXPORT.c.project_id == project_id, EXPORT.c.id == export_id)).first()
    return _built(row) if row else None


def find_same(work: Work, *, version_id: str, format: ExportFormat, dtype: ExportDtype) -> Export | None:  # noqa: A002 - a column
    """Return the export of a version in a format."""
    match = (EXPORT.c.version_id == version_id, EXPORT.c.format == format, EXPORT.c.dtype == dtype)
    row = work.connection.execute(_ROWS.where(*match)).first()
    return _built(row) if row else None


def page(work: Work, *, project_id: str, version_id: str | None, cursor: Cursor) -> Page[Export]:
    """Return the project's exports, or those of one version."""
    given = {"project_id": project_id} | ({} if version_id is None else {"version_id": version_id})
    return fetch(work, _listed(frozenset(given)), EXPORT, cursor=cursor, build=_built, **given)


def change(work: Work, export: Export, **values: Any) -> Export:
    """Set columns of an export."""
    row = work.connection.execute(
        update(EXPORT).where(EXPORT.c.id == export.id).values(**values).returning(*columns(EXPORT, Export))
    ).one()
    return _built(row)


def remove(work: Work, export: Export) -> None:
    """Forget an export; its files go with the next sweep."""
    work.connection.execute(delete(EXPORT).where(EXPORT.c.id == export.id))


def needed_artefacts(work: Work) -> set[str]:
    """Return the keys of all exports that there are."""
    query = _of_living_versions(select(EXPORT.c.artefact)).where(EXPORT.c.artefact.is_not(None))
    return {str(key) for key in work.connection.scalars(query)}


def total_bytes(work: Work, *, project_id: str) -> int:
    """Return the size of the project's exports."""
    total = select(func.coalesce(func.sum(EXPORT.c.size_bytes), 0))
    return int(
        work.connection.execute(_of_living_versions(total).where(EXPORT.c.project_id == project_id)).scalar_one()
    )


@cache
def _listed(given: frozenset[str]) -> Select[Any]:
    return _ROWS.where(*(EXPORT.c[name] == bindparam(name) for name in sorted(given)))


def _built(row: Row[Any]) -> Export:
    return Export(**row._asdict() | {"format": ExportFormat(row.format), "dtype": ExportDtype(row.dtype)})
