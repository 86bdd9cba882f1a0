"""Rows of `dataset`."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import BigInteger, Row, bindparam, cast, func, insert, or_, select, update

from core.domain.records import Dataset, Page
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import DATASET, MODEL, TASK
from core.registry.work import Work

_LIVING: Final = select(*columns(DATASET, Dataset)).where(DATASET.c.deleted_ms.is_(None))
# What is asked at every call is built once: building a statement takes longer than running it.
_INSERT: Final = insert(DATASET)
_OF_PROJECT: Final = _LIVING.where(DATASET.c.project_id == bindparam("project_id"))
_BY_ID: Final = _OF_PROJECT.where(DATASET.c.id == bindparam("dataset_id"))
_BY_ID_LOCKED: Final = _BY_ID.with_for_update()
_BY_IDS: Final = _LIVING.where(DATASET.c.id.in_(bindparam("dataset_ids", expanding=True)))
_BY_CONTENT: Final = _OF_PROJECT.where(DATASET.c.sha256 == bindparam("sha256"))


def _built(row: Row[Any]) -> Dataset:
    return Dataset(**row._asdict())


def add(work: Work, *, dataset_id: str, **values: Any) -> Dataset:
    """Insert a dataset."""
    row: dict[str, Any] = {"id": dataset_id, "created_ms": work.now_ms(), "deleted_ms": None, **values}
    work.connection.execute(_INSERT, row)
    return Dataset(**row)


def find(work: Work, *, project_id: str, dataset_id: str, lock: bool = False) -> Dataset | None:
    """Return the project's living dataset of an id.

    With ``lock`` its row is held until the end of the work: deleting it and posting a task on it exclude each other.
    """
    query = _BY_ID_LOCKED if lock else _BY_ID
    row = work.connection.execute(query, {"project_id": project_id, "dataset_id": dataset_id}).first()
    return _built(row) if row else None


def find_content(work: Work, *, project_id: str, sha256: str) -> Dataset | None:
    """Return the project's living dataset of some content."""
    row = work.connection.execute(_BY_CONTENT, {"project_id": project_id, "sha256": sha256}).first()
    return _built(row) if row else None


def by_id(work: Work, dataset_ids: Collection[str]) -> dict[str, Dataset]:
    """Return some datasets by their ids, those too that were deleted since."""
    query = select(*columns(DATASET, Dataset)).where(DATASET.c.id.in_(dataset_ids))
    return {row.id: _built(row) for row in work.connection.execute(query)}


def living_by_id(work: Work, dataset_ids: Collection[str]) -> dict[str, Dataset]:
    """Return the living ones of some datasets by their ids."""
    return {row.id: _built(row) for row in work.connection.execute(_BY_IDS, {"dataset_ids": [*dataset_ids]})}


def get(work: Work, dataset_id: str) -> Dataset:
    """Return a dataset that another row refers to, deleted or not."""
    query = select(*columns(DATASET, Dataset)).where(DATASET.c.id == dataset_id)
    return _built(work.connection.execute(query).one())


def lock_content(work: Work, sha256: str) -> None:
    """Hold some content until the end of the work: naming it and removing its file exclude each other.

    Whoever needs several takes them in the order of their hashes. SQLite has one writer at a time anyway.
    """
    if work.connection.dialect.name == "postgresql":
        key = int.from_bytes(bytes.fromhex(sha256[:16]), signed=True)
        work.connection.execute(select(func.pg_advisory_xact_lock(cast(key, BigInteger))))


def page(work: Work, *, project_id: str, cursor: Cursor) -> Page[Dataset]:
    """Return the project's living datasets."""
    return fetch(work, _OF_PROJECT, DATASET, cursor=cursor, build=_built, project_id=project_id)


def in_use(work: Work, dataset_id: str) -> bool:
    """Return whether a task of a living model needs the dataset."""
    query = (
        select(TASK.c.id)
        .join(MODEL, MODEL.c.id == TASK.c.model_id)
        .where(or_(TASK.c.dataset_id == dataset_id, TASK.c.eval_dataset_id == dataset_id), MODEL.c.deleted_ms.is_(None))
    )
    return work.connection.execute(query.limit(1)).first() is not None


def total_bytes(work: Work, *, project_id: str) -> int:
    """Return the size of the project's living datasets."""
    total = select(func.coalesce(func.sum(DATASET.c.size_bytes), 0))
    query = total.where(DATASET.c.project_id == project_id, DATASET.c.deleted_ms.is_(None))
    return int(work.connection.execute(query).scalar_one())


def content_users(work: Work, sha256: str) -> int:
    """Return how many living datasets, of all projects, have some content."""
    query = select(func.count()).where(DATASET.c.sha256 == sha256, DATASET.c.deleted_ms.is_(None))
    return int(work.connection.execute(query).scalar_one())


def living_contents(work: Work) -> set[str]:
    """Return the hashes of all living datasets, of all projects."""
    return set(work.connection.scalars(select(DATASET.c.sha256).where(DATASET.c.deleted_ms.is_(None))))


def mark_deleted(work: Work, dataset_id: str) -> None:
    """End the dataset's life."""
    work.connection.execute(update(DATASET).where(DATASET.c.id == dataset_id).values(deleted_ms=work.now_ms()))
