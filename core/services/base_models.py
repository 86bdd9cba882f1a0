"""Base models: the operator's allow-list. Adding one queues an `inspect` job that reads it once."""

import re
from typing import Final

from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError, InvalidError, MissingError, Place
from core.domain.identifiers import new_id
from core.domain.jobs import JobKind, JobState
from core.domain.ports import Dispatcher
from core.domain.records import BaseModel, BaseModelState, Job, Page
from core.registry import base_models, jobs
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services.naming import require_name
from core.services.projects import DEFAULT_PROJECT_ID

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,95}"
_SOURCE: Final = re.compile(
    rf"wheel:{_PART}\Z|hub:{_PART}/{_PART}@[A-Za-z0-9][A-Za-z0-9._-]{{0,95}}\Z|folder:/[^\0\n]{{0,4095}}\Z",
)


def add(work: Work, *, name: str, source: str, dispatcher: Dispatcher) -> BaseModel:
    """Allow ``source`` under ``name`` and queue its inspection; adding the same again returns the same row.

    A base model whose inspection failed is inspected anew.

    Raises:
        InvalidError: ``invalid_name``, or ``invalid_source`` when the source is not ``wheel:<distribution>``,
            ``folder:<absolute path>`` or ``hub:<org>/<name>@<revision>``.
        ConflictError: ``name_taken`` by another source.
    """
    require_name(name)
    _require_source(source)
    found = base_models.find(work, name)
    if found is None:
        found = base_models.add(work, base_model_id=new_id("base"), name=name, source=source)
    elif found.source != source:
        raise ConflictError("another source has this name", code="name_taken")
    elif found.state is not BaseModelState.FAILED:
        return found
    inspect(work, base_model_id=found.id, dispatcher=dispatcher)
    return base_models.get(work, found.id)


def inspect(work: Work, *, base_model_id: str, dispatcher: Dispatcher, retry_of: str | None = None) -> Job:
    """Queue an inspection; until it is over the base model is pending.

    The job belongs to the default project, as base models belong to the operator.
    """
    base_models.change(work, base_model_id, state=BaseModelState.PENDING, error=None)
    job = jobs.add(
        work,
        project_id=DEFAULT_PROJECT_ID,
        kind=JobKind.INSPECT,
        seq=1,
        actor=work.actor,
        base_model_id=base_model_id,
        retry_of=retry_of,
        params={},
    )
    work.after_commit(lambda: dispatcher.wake(job.id))
    return job


def get(work: Work, *, name: str) -> BaseModel:
    """Return a base model by its name or id.

    Raises:
        MissingError: ``base_model_not_found``.
    """
    found = base_models.find(work, name)
    if found is None:
        raise MissingError("there is no such base model", code="base_model_not_found")
    return found


def page(work: Work, *, limit: int = 20, after: str | None = None, order: Order = "desc") -> Page[BaseModel]:
    """Return base models, newest first unless ``order`` is ``asc``."""
    return base_models.page(work, Cursor(limit, after, order))


def record_facts(work: Work, *, job: Job, fence: int, facts: BaseFacts, path: str) -> BaseModel:
    """Finish an `inspect` job: its base model becomes ready.

    (`jobs.fail` on such a job marks its base model failed.)

    Raises:
        LostLeaseError: another worker holds the job now.
        ConflictError: ``cancel_requested``; ``wrong_kind``: the job inspects nothing.
    """
    held = jobs.held(work, job_id=job.id, fence=fence)
    if held.base_model_id is None:
        raise ConflictError("only an inspection has facts to record", code="wrong_kind")
    if held.cancel_requested:
        raise ConflictError("the job shall be cancelled", code="cancel_requested")
    jobs.move(work, held, to=JobState.SUCCEEDED, actor=held.owner or "worker")
    known = {"digest": facts.digest, "facts": facts.model_dump(mode="json"), "path": path, "error": None}
    return base_models.change(work, held.base_model_id, state=BaseModelState.READY, **known)


def _require_source(source: str) -> None:
    steps = source.partition(":")[2].split("/")
    if _SOURCE.match(source) and not {".", ".."} & set(steps):
        return
    message = "must be wheel:<distribution>, folder:<absolute path> or hub:<org>/<name>@<revision>"
    places = [Place(loc=("source",), message=message)]
    raise InvalidError("not a source of base models", code="invalid_source", places=places)
