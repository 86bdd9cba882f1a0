"""Datasets: immutable, content-addressed, validated before they get here."""

from core.domain.records import Dataset, Json, Page
from core.registry.pages import Order
from core.registry.work import Work


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
    """Record an uploaded file; the same content again is the same dataset, unless it was deleted."""
    raise NotImplementedError


def get(work: Work, *, project_id: str, dataset_id: str) -> Dataset:
    """Return a dataset.

    Raises:
        MissingError: ``dataset_not_found``.
    """
    raise NotImplementedError


def page(
    work: Work, *, project_id: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Dataset]:
    """Return the project's datasets."""
    raise NotImplementedError


def delete(work: Work, *, project_id: str, dataset_id: str) -> bool:
    """Delete a dataset; return whether its blob has no other user and may be removed after the commit.

    Raises:
        MissingError: ``dataset_not_found``.
        ConflictError: ``dataset_in_use``: a task of a living model learns from it or is scored on it.
    """
    raise NotImplementedError
