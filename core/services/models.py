"""Models: named, continually updated, each on one base model."""

from pydantic import ValidationError

from core.domain.errors import ConflictError, InvalidError, NotReadyError, Place
from core.domain.identifiers import new_id
from core.domain.policies import GatePolicy, ModelPolicy
from core.domain.records import BaseModel, BaseModelState, Json, Model, Page, Version
from core.domain.versions import VersionState
from core.learning.catalogue.presets import PRESETS
from core.learning.recipe import TaskSpec
from core.registry import aliases, base_models, events, jobs, models, versions
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services.naming import require_model, require_name

FIRST_ALIASES = ("latest", "stable")


def create(
    work: Work,
    *,
    project_id: str,
    name: str,
    base_model: str,
    method: Json | str | None = None,
    policy: ModelPolicy | None = None,
) -> Model:
    """Create a model with version @0, its base, which the aliases `latest` and `stable` name.

    ``method`` holds defaults of its tasks: a preset's name, or an object of TaskSpec's shape such as
    ``{"method": "jumplora", "training": {"epochs": 3}}``; None or {} leaves the product's own. ``policy`` says what the model's methods may do with users' data.

    Raises:
        InvalidError: ``invalid_name``, ``unknown_base_model``, or the method cannot be.
        NotReadyError: ``base_model_not_ready``: its inspection has not finished.
        ConflictError: ``name_taken``, or ``base_model_failed``.
    """
    require_name(name)
    defaults = _defaults(method)
    base = _require_ready(base_models.find(work, base_model))
    if models.find(work, project_id=project_id, reference=name):
        raise ConflictError("a model has this name", code="name_taken")
    made = models.add(
        work,
        model_id=new_id("mdl"),
        project_id=project_id,
        name=name,
        base_model_id=base.id,
        method=defaults,
        policy=(policy or ModelPolicy()).model_dump(mode="json"),
    )
    told = {"name": name}
    events.append(work, subject_id=made.id, project_id=project_id, kind="created", actor=work.actor, data=told)
    zero = versions.add(work, _base_version(work, made, digest=str(base.digest)), actor=work.actor)
    for alias in FIRST_ALIASES:
        aliases.point(work, name=alias, at=zero, actor=work.actor, reason="created")
    return made


def get(work: Work, *, project_id: str, reference: str) -> Model:
    """Return a model by its name or id.

    Raises:
        MissingError: ``model_not_found``.
    """
    return require_model(work, project_id=project_id, reference=reference)


def page(
    work: Work, *, project_id: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Model]:
    """Return the project's models."""
    return models.page(work, project_id=project_id, cursor=Cursor(limit, after, order))


def change_gate(work: Work, *, project_id: str, reference: str, gate: GatePolicy) -> Model:
    """Change the fields of the gate's policy that ``gate`` was made with; versions that were judged stay as they are.

    Raises:
        MissingError: ``model_not_found``.
    """
    model = require_model(work, project_id=project_id, reference=reference)
    models.lock(work, model.id)
    policy = ModelPolicy.model_validate(models.get(work, model.id).policy)
    changed = policy.model_copy(update={"gate": policy.gate.overlaid(gate)})
    if changed == policy:
        return model
    models.set_policy(work, model.id, policy=changed.model_dump(mode="json"))
    told = {"gate": gate.asked}
    events.append(work, subject_id=model.id, project_id=project_id, kind="policy_changed", actor=work.actor, data=told)
    return models.get(work, model.id)


def delete(work: Work, *, project_id: str, reference: str) -> None:
    """Delete a model: it serves no more and its name is free again.

    Raises:
        MissingError: ``model_not_found``.
        ConflictError: ``model_busy``: one of its jobs is not over.
    """
    model = require_model(work, project_id=project_id, reference=reference)
    models.lock(work, model.id)
    if jobs.any_open(work, model_id=model.id):
        raise ConflictError("one of the model's jobs is not over; cancel it first", code="model_busy")
    models.mark_deleted(work, model.id)
    told = {"name": model.name}
    events.append(work, subject_id=model.id, project_id=project_id, kind="deleted", actor=work.actor, data=told)


def _base_version(work: Work, model: Model, *, digest: str) -> Version:
    return Version(
        id=new_id("ver"),
        project_id=model.project_id,
        model_id=model.id,
        number=models.next_number(work, model.id),
        parent_id=None,
        task_id=None,
        job_id=None,
        fence=None,
        state=VersionState.READY,
        chain=(),
        manifest_sha256=None,
        artefact=None,
        digest=digest,
        delta=None,
        created_ms=model.created_ms,
    )


def _require_ready(base: BaseModel | None) -> BaseModel:
    if base is None:
        places = [Place(loc=("base_model",), message="is not among the base models")]
        raise InvalidError("there is no such base model", code="unknown_base_model", places=places)
    if base.state is BaseModelState.PENDING:
        raise NotReadyError("the base model is still being inspected", code="base_model_not_ready")
    if base.state is BaseModelState.FAILED:
        raise ConflictError("the base model's inspection failed", code="base_model_failed")
    return base


def _defaults(method: Json | str | None) -> Json:
    """Return the defaults as given, once they are known to be a spec."""
    given = {"method": method} if isinstance(method, str) else dict(method or {})
    try:
        spec = TaskSpec.model_validate(given)
    except ValidationError as error:
        places = [Place(loc=("method", *fault["loc"]), message=fault["msg"]) for fault in error.errors()]
        raise InvalidError("the method cannot be used", code="invalid_method", places=places) from error
    if spec.method is not None and spec.method not in PRESETS:
        hint = f"one of: {', '.join(PRESETS)}"
        places = [Place(loc=("method",), message="there is no such method", hint=hint)]
        raise InvalidError("the method cannot be used", code="invalid_method", places=places)
    return given
