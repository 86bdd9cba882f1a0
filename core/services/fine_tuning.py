"""Fine-tuning in one call, as OpenAI's clients ask for it: a file, and the name of what shall learn it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.domain.errors import InvalidError, MissingError, Place
from core.domain.jobs import JobKind
from core.domain.ports import Dispatcher
from core.domain.records import Event, Job, Json, Model, Page
from core.learning import resolution
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.learning.recipe import TaskSpec
from core.registry import base_models
from core.registry import events as event_rows
from core.registry import jobs as job_rows
from core.registry import models as model_rows
from core.registry.pages import Cursor
from core.registry.work import Work
from core.services import models, tasks, versions
from core.services.naming import require_job
from core.services.tasks import Queued, TaskSubmission

# A name has at most 63 characters: room for a separator and the digits behind a base model's own.
_MAX_STEM: Final = 54
_DIGITS_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """What a user asks for.

    Attributes:
        model: a model (name or id), which learns one task more; a version of one, which must then be its `latest`; or a
            base model, of which a new model is made.
        dataset_id: the rows to learn.
        eval_dataset_id: held-out rows; None holds out some of the dataset.
        spec: of the task.
        suffix: names the new model; of a model that is there already, the task. None makes a name up.
        task: names the task; None leaves that to ``suffix``, or makes a name up.
        learning_rate_multiplier: of the rate that the model would take; None takes that rate.
        metadata: kept with the job, and shown with it.
    """

    model: str
    dataset_id: str
    eval_dataset_id: str | None = None
    spec: TaskSpec
    suffix: str | None = None
    task: str | None = None
    learning_rate_multiplier: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pupil:
    """Who learns: a model, from where it must stand, and under which name it learns the task."""

    model: Model
    task: str | None
    expected_parent: str | None = None


def start(work: Work, *, project_id: str, asked: FineTuning, dispatcher: Dispatcher, memory_bytes: float) -> Queued:
    """Make the model if it is a new one, and queue the task; workers are woken after the commit.

    Raises:
        MissingError: ``model_not_found``: no model and no base model has that name; or as `versions.resolve`.
        InvalidError: the learning rate would be over 1, or is given twice; a name is; or as `tasks.submit`.
        StrataError: what `models.create` and `tasks.submit` raise.
    """
    pupil = _pupil(work, project_id=project_id, asked=asked)
    submission = TaskSubmission(
        model=pupil.model.id,
        name=pupil.task or f"task-{secrets.token_hex(_DIGITS_BYTES)}",
        dataset_id=asked.dataset_id,
        eval_dataset_id=asked.eval_dataset_id,
        spec=_with_rate(pupil.model, asked),
        expected_parent=pupil.expected_parent,
        metadata=asked.metadata,
    )
    return tasks.submit(
        work, project_id=project_id, submission=submission, dispatcher=dispatcher, memory_bytes=memory_bytes
    )


def get(work: Work, *, project_id: str, job_id: str, lock: bool = False) -> Job:
    """Return a job that learns a task; with ``lock`` it cannot change until the work ends.

    Raises:
        MissingError: ``job_not_found``, also for jobs of other kinds.
    """
    job = require_job(work, project_id=project_id, job_id=job_id, lock=lock)
    if job.kind is not JobKind.TRAIN:
        raise MissingError("there is no such job", code="job_not_found")
    return job


def page(work: Work, *, project_id: str, cursor: Cursor) -> Page[Job]:
    """Return the project's jobs that learn tasks."""
    return job_rows.page(work, project_id=project_id, model_id=None, state=None, kind=JobKind.TRAIN, cursor=cursor)


def events(work: Work, *, project_id: str, job_id: str, cursor: Cursor) -> Page[Event]:
    """Return what happened to a job, by the events' ids.

    Raises:
        MissingError: ``job_not_found``.
    """
    job = get(work, project_id=project_id, job_id=job_id)
    return event_rows.history(work, subject_id=job.id, cursor=cursor)


def usual_rate(defaults: Json, *, method: str | None) -> float:
    """Return the learning rate of a task that says nothing of its training.

    Args:
        defaults: of its model.
        method: name of a preset; None for the model's own.
    """
    given: dict[str, Any] = {} if method is None else {"method": method}
    spec = tasks.with_defaults(defaults, TaskSpec.model_validate(given))
    return resolution.training(spec, default_method=DEFAULT_METHOD).learning_rate


def _pupil(work: Work, *, project_id: str, asked: FineTuning) -> _Pupil:
    if found := model_rows.find(work, project_id=project_id, reference=asked.model):
        return _Pupil(model=found, task=_task_of_known(asked))
    if versions.is_reference(asked.model):
        version = versions.resolve(work, project_id=project_id, reference=asked.model)
        owner = models.get(work, project_id=project_id, reference=version.model_id)
        return _Pupil(model=owner, task=_task_of_known(asked), expected_parent=version.id)
    base = base_models.find(work, asked.model)
    if base is None:
        hint = "GET /v1/models lists the models, GET /v1/base-models what new ones can be made of"
        place = Place(loc=("model",), message="is neither a model nor a base model", hint=hint)
        raise MissingError("there is no such model", code="model_not_found", places=[place])
    stem = base.name[:_MAX_STEM].rstrip("._-")
    name = asked.suffix or f"{stem}-{secrets.token_hex(_DIGITS_BYTES)}"
    return _Pupil(model=models.create(work, project_id=project_id, name=name, base_model=base.name), task=asked.task)


def _task_of_known(asked: FineTuning) -> str | None:
    if asked.suffix and asked.task:
        message = "names the task of a model that is there already, and so does the task's own name: give one"
        raise InvalidError(f"suffix {message}", places=[Place(loc=("suffix",), message=message)])
    return asked.suffix or asked.task


def _with_rate(model: Model, asked: FineTuning) -> TaskSpec:
    if asked.learning_rate_multiplier is None:
        return asked.spec
    given = asked.spec.model_dump(mode="json", exclude_unset=True)
    training = given.get("training", {})
    rate = usual_rate(model.method, method=asked.spec.method) * asked.learning_rate_multiplier
    fault = (
        "and the spec's own learning_rate exclude each other"
        if "learning_rate" in training
        else f"makes the learning rate {rate:.3g}: it must be at most 1"
        if rate > 1
        else None
    )
    if fault:
        places = [Place(loc=("learning_rate_multiplier",), message=fault)]
        raise InvalidError(f"learning_rate_multiplier {fault}", places=places)
    return TaskSpec.model_validate({**given, "training": {**training, "learning_rate": rate}})
