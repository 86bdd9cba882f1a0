"""Base models: the operator's allow-list. Adding one queues an `inspect` job that reads it once."""

from core.domain.base_facts import BaseFacts
from core.domain.ports import Dispatcher
from core.domain.records import BaseModel, Job, Page
from core.registry.pages import Order
from core.registry.work import Work


def add(work: Work, *, name: str, source: str, dispatcher: Dispatcher) -> BaseModel:
    """Allow ``source`` under ``name`` and queue its inspection; adding the same again returns the same row.

    A base model whose inspection failed is inspected anew.

    Raises:
        InvalidError: ``invalid_name``, or ``invalid_source`` when the source is not ``wheel:<distribution>``,
            ``folder:<absolute path>`` or ``hub:<org>/<name>@<revision>``.
        ConflictError: ``name_taken`` by another source.
    """
    raise NotImplementedError


def get(work: Work, *, name: str) -> BaseModel:
    """Return a base model by its name or id.

    Raises:
        MissingError: ``base_model_not_found``.
    """
    raise NotImplementedError


def page(work: Work, *, limit: int = 20, after: str | None = None, order: Order = "desc") -> Page[BaseModel]:
    """Return base models, newest first unless ``order`` is ``asc``."""
    raise NotImplementedError


def record_facts(work: Work, *, job: Job, fence: int, facts: BaseFacts, path: str) -> BaseModel:
    """Finish an `inspect` job: its base model becomes ready. (`jobs.fail` on such a job marks it failed.)

    Raises:
        LostLeaseError: another worker holds the job now.
        ConflictError: ``cancel_requested``.
    """
    raise NotImplementedError
