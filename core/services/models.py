"""Models: named, continually updated, each on one base model."""

from core.domain.records import Json, Model, Page
from core.registry.pages import Order
from core.registry.work import Work


def create(work: Work, *, project_id: str, name: str, base_model: str, method: Json) -> Model:
    """Create a model with version @0, its base, which the aliases `latest` and `stable` name.

    Args:
        method: defaults of its tasks' specs: an object of TaskSpec's shape, e.g. ``{"method": "jumplora"}``; may be {}.

    Raises:
        InvalidError: ``invalid_name`` or ``unknown_base_model``.
        NotReadyError: ``base_model_not_ready``: its inspection has not finished.
        ConflictError: ``name_taken``, or ``base_model_failed``.
    """
    raise NotImplementedError


def get(work: Work, *, project_id: str, reference: str) -> Model:
    """Return a model by its name or id.

    Raises:
        MissingError: ``model_not_found``.
    """
    raise NotImplementedError


def page(
    work: Work, *, project_id: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Model]:
    """Return the project's models."""
    raise NotImplementedError


def delete(work: Work, *, project_id: str, reference: str) -> None:
    """Delete a model: it serves no more and its name is free again.

    Raises:
        MissingError: ``model_not_found``.
        ConflictError: ``model_busy``: one of its jobs is not over.
    """
    raise NotImplementedError
