"""Tasks: a dataset and a learning method, posted to a model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from core.datasets import templates
from core.datasets.catalogue import FORMATS
from core.datasets.metrics import metrics_of
from core.datasets.templates import Template
from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError, InvalidError, MissingError, Place
from core.domain.identifiers import new_id
from core.domain.jobs import JobKind
from core.domain.policies import ModelPolicy
from core.domain.ports import Dispatcher
from core.domain.records import Dataset, Job, Json, Model, Page, Task
from core.learning.catalogue.presets import DEFAULT_METHOD
from core.learning.recipe import Recipe, TaskSpec
from core.learning.resolution import resolve
from core.registry import aliases, base_models, jobs, models, tasks, versions
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services import datasets, estimates, gates, quotas
from core.services.naming import require_model, require_name


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSubmission:
    """What a user posts.

    Attributes:
        model: name or id.
        name: of the task, unique in its model.
        eval_dataset_id: held-out rows; None holds out 10 % of the dataset.
        expected_parent: id of the version that `latest` must name when the job starts; None takes what it names then.
        metadata: kept with the job, and shown with it.
    """

    model: str
    name: str
    dataset_id: str
    spec: TaskSpec
    eval_dataset_id: str | None = None
    expected_parent: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A task that was posted, its job, and the model that will learn it."""

    model: Model
    task: Task
    job: Job


@dataclass(frozen=True, slots=True)
class _Plan:
    """A submission, checked: what the task and its job will hold, and what that was judged by.

    Of the gate's policy the job holds what the task asks for itself: the rest is the model's, whatever it is by then.
    """

    spec: Json
    template: Template
    recipe: Recipe
    gate: Json
    train: Dataset
    facts: BaseFacts


def submit(
    work: Work,
    *,
    project_id: str,
    submission: TaskSubmission,
    dispatcher: Dispatcher,
    memory_bytes: float = math.inf,
) -> Queued:
    """Queue a task that needs ``memory_bytes`` at most; workers are woken after the commit.

    Raises:
        MissingError: ``model_not_found`` or ``dataset_not_found``.
        InvalidError: the name, method or template cannot be, or the base model cannot learn such rows, or it is
            estimated to need too much memory; with places.
        ConflictError: ``name_taken`` in this model, or ``parent_conflict``.
        QuotaError: ``too_many_open_jobs``.
    """
    require_name(submission.name)
    model = require_model(work, project_id=project_id, reference=submission.model)
    plan = _plan(work, model, submission)
    quotas.require_open_job(work, project_id=project_id)
    seq = models.next_seq(work, model.id)
    if tasks.find_named(work, model_id=model.id, name=submission.name):
        raise ConflictError("a task of this model has this name", code="name_taken")
    require_head(work, model, expected=submission.expected_parent)
    task = tasks.add(
        work,
        task_id=new_id("task"),
        project_id=project_id,
        model_id=model.id,
        name=submission.name,
        dataset_id=submission.dataset_id,
        eval_dataset_id=submission.eval_dataset_id,
        spec=dict(plan.spec),
        template=plan.template.model_dump(mode="json"),
    )
    estimates.require_memory(task, plan.train, recipe=plan.recipe, facts=plan.facts, limit_bytes=memory_bytes)
    job = jobs.add(
        work,
        project_id=project_id,
        kind=JobKind.TRAIN,
        seq=seq,
        actor=work.actor,
        model_id=model.id,
        task_id=task.id,
        params={
            "recipe": plan.recipe.model_dump(mode="json"),
            "gate": plan.gate,
            "metadata": dict(submission.metadata),
        },
        expected_parent=submission.expected_parent,
    )
    work.after_commit(lambda: dispatcher.wake(job.id))
    return Queued(model=model, task=task, job=job)


def get(work: Work, *, project_id: str, task_id: str) -> Task:
    """Return a task.

    Raises:
        MissingError: ``task_not_found``.
    """
    found = tasks.find(work, project_id=project_id, task_id=task_id)
    if found is None:
        raise MissingError("there is no such task", code="task_not_found")
    return found


def page(
    work: Work,
    *,
    project_id: str,
    model: str | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Task]:
    """Return tasks of the project, or of one of its models (name or id)."""
    model_id = None if model is None else require_model(work, project_id=project_id, reference=model).id
    return tasks.page(work, project_id=project_id, model_id=model_id, cursor=Cursor(limit, after, order))


def require_head(work: Work, model: Model, *, expected: str | None) -> None:
    """Check that `latest` names what the caller expects; None expects nothing.

    Raises:
        InvalidError: it is a version of another model.
        ConflictError: ``parent_conflict``: `latest` names another one.
    """
    if expected is None:
        return
    if _is_of_another(work, model, version_id=expected):
        places = [Place(loc=("expected_parent",), message="is a version of another model")]
        raise InvalidError("a task starts from a version of its own model", places=places)
    head = aliases.find(work, model_id=model.id, name="latest")
    if head is None or head.version_id != expected:
        current = head.version_id if head else "nothing"
        raise ConflictError(f"latest now names {current}", code="parent_conflict")


def with_defaults(defaults: Json, spec: TaskSpec) -> TaskSpec:
    """Return the spec over the model's defaults: what the user did not set, the model decides.

    Raises:
        InvalidError: the two together are no spec.
    """
    try:
        return TaskSpec.model_validate(_merged(defaults, spec.model_dump(mode="json", exclude_unset=True)))
    except ValidationError as error:
        places = [Place(loc=("spec", *fault["loc"]), message=fault["msg"]) for fault in error.errors()]
        raise InvalidError("the task's spec cannot be used", places=places) from error


def _plan(work: Work, model: Model, submission: TaskSubmission) -> _Plan:
    spec = with_defaults(model.method, submission.spec)
    train, held_out = _files(work, model.project_id, submission)
    template = templates.build(
        train.format,
        labels=[label for file in (train, held_out) if file for label in file.report.get("labels") or ()] or None,
        question=spec.data.question,
        options=spec.data.options,
    )
    facts = BaseFacts.model_validate(base_models.get(work, model.base_model_id).facts)
    _require_fit(train.format, facts)
    recipe = resolve(
        spec,
        default_method=DEFAULT_METHOD,
        facts=facts,
        may_store_rows=ModelPolicy.model_validate(model.policy).store_rows,
    )
    gate = gates.policy_of(model, spec.gate).model_dump(mode="json")
    effective = {**_effective(spec, template, recipe), "gate": gate}
    return _Plan(effective, template, recipe, spec.gate.asked, train, facts)


def _files(work: Work, project_id: str, submission: TaskSubmission) -> tuple[Dataset, Dataset | None]:
    """Return the training and evaluation files, which must be of one format, and keep them from being deleted."""
    ids = filter(None, {submission.dataset_id, submission.eval_dataset_id})
    # In one order for all, lest two works wait for each other.
    held = {each: datasets.get(work, project_id=project_id, dataset_id=each, lock=True) for each in sorted(ids)}
    train = held[submission.dataset_id]
    if submission.eval_dataset_id is None:
        return train, None
    held_out = held[submission.eval_dataset_id]
    if held_out.format != train.format:
        message = f"must be of the training file's format, {train.format}"
        places = [Place(loc=("eval_dataset_id",), message=message)]
        raise InvalidError("the two files are of different formats", code="invalid_dataset", places=places)
    return train, held_out


def _require_fit(format_name: str, facts: BaseFacts) -> None:
    """Refuse rows that the base model cannot learn."""
    if fault := FORMATS[format_name].misfit(facts):
        places = [Place(loc=("model",), message=fault.message, hint=fault.hint)]
        raise InvalidError(f"the model cannot learn from a file of the format '{format_name}'", places=places)


def _is_of_another(work: Work, model: Model, *, version_id: str) -> bool:
    """Return whether the project has the version, in another model; another project's is like one that is not there."""
    found = versions.find(work, version_id)
    return found is not None and found.project_id == model.project_id and found.model_id != model.id


def _merged(below: Json, above: Json) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _effective(spec: TaskSpec, template: Template, recipe: Recipe) -> Json:
    """Return the spec with everything that was left open filled in.

    Raises:
        InvalidError: the task's format has none of the metrics.
    """
    metrics = metrics_of(template.format, spec.evaluation.metrics)
    return spec.model_dump(mode="json") | {
        "method": recipe.name,
        "adapter": recipe.adapter.settings,
        "objectives": {part.name: part.settings for part in recipe.objectives},
        "memories": {part.name: part.settings for part in recipe.memories},
        "composition": recipe.composition.name,
        "training": recipe.training.model_dump(mode="json"),
        "evaluation": recipe.evaluation.model_dump(mode="json") | {"metrics": list(metrics)},
        "data": {"question": template.question, "options": template.options and list(template.options)},
    }
