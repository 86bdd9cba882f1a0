"""Datasets: immutable, content-addressed, validated before they get here."""

from core.domain.errors import ConflictError, MissingError
from core.domain.identifiers import new_id
from core.domain.records import Dataset, Json, Page
from core.registry import datasets, events
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services import quotas


def register(  # noqa: PLR0913 - one argument a column
    work: Work,
    *,
    project_id: str,
    sha256: str,
    size_bytes: int,
    format: str,  # noqa: A002 - the field's word
    n_rows: int,
    report: Json,
) -> Dataset:
    """Record an uploaded file; the same content again is the same dataset, unless it was deleted.

    Raises:
        QuotaError: ``too_many_bytes``.
    """
    found = datasets.find_content(work, project_id=project_id, sha256=sha256)
    if found is not None:
        return found
    quotas.require_bytes(work, project_id=project_id, size_bytes=size_bytes)
    content = {"sha256": sha256, "size_bytes": size_bytes, "n_rows": n_rows, "report": dict(report)}
    made = datasets.add(work, dataset_id=new_id("data"), project_id=project_id, format=format, **content)
    events.append(work, subject_id=made.id, project_id=project_id, kind="created", actor=work.actor)
    return made


def get(work: Work, *, project_id: str, dataset_id: str, lock: bool = False) -> Dataset:
    """Return a dataset; with ``lock`` it cannot be deleted until the work ends.

    Raises:
        MissingError: ``dataset_not_found``.
    """
    found = datasets.find(work, project_id=project_id, dataset_id=dataset_id, lock=lock)
    if found is None:
        raise MissingError("there is no such dataset", code="dataset_not_found")
    return found


def page(
    work: Work, *, project_id: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Dataset]:
    """Return the project's datasets."""
    return datasets.page(work, project_id=project_id, cursor=Cursor(limit, after, order))


def delete(work: Work, *, project_id: str, dataset_id: str) -> bool:
    """Delete a dataset; return whether its blob has no other user and may be removed after the commit.

    Raises:
        MissingError: ``dataset_not_found``.
        ConflictError: ``dataset_in_use``: a task of a living model learns from it or is scored on it.
    """
    dataset = get(work, project_id=project_id, dataset_id=dataset_id, lock=True)
    if datasets.in_use(work, dataset.id):
        raise ConflictError("a task needs the dataset", code="dataset_in_use")
    datasets.mark_deleted(work, dataset.id)
    events.append(work, subject_id=dataset.id, project_id=project_id, kind="deleted", actor=work.actor)
    return datasets.content_users(work, dataset.sha256) == 0
