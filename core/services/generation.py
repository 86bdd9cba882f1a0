"""Generation: turn a user's request into the engine's, by what the registry knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.datasets.templates import Template
from core.domain.errors import InvalidError, MissingError, Place
from core.domain.records import Json, Version
from core.registry import models, tasks
from core.registry.work import Work
from core.services.serving import require_ready
from core.services.versions import resolve

_ASKS: Final = ("prompt", "messages", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The engine's request, and the version that it asks for as the registry stands; ``name`` is its ``model@number``."""

    request: dict[str, Any]
    version: Version
    name: str


def plan(work: Work, *, project_id: str, request: Json) -> Plan:
    """Return the engine's request for a user's.

    ``request`` holds ``model`` (a reference as in `versions.resolve`), one of ``prompt``, ``messages`` or ``task``
    with ``input``, and sampling fields, which are passed on as they are. In the answer ``model`` is
    ``<model id>:<alias>`` for a moving name and the version's id for a fixed one; task and input become a ``prompt``
    or ``messages`` by the template that the task was trained with.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found``, ``alias_not_found`` or ``task_not_found``.
        InvalidError: not exactly one of prompt, messages and task; or the input does not fit the template.
        ConflictError: ``wrong_state``: the version is not ready.
    """
    given = {key: value for key, value in request.items() if value is not None}
    _require_one_ask(given)
    reference = given["model"]
    version = require_ready(resolve(work, project_id=project_id, reference=reference))
    fixed = reference.startswith("ver_") or "@" in reference
    alias = reference.partition(":")[2] or "latest"
    model = models.get(work, version.model_id)
    planned = {key: value for key, value in given.items() if key not in {"task", "input"}}
    planned["model"] = version.id if fixed else f"{version.model_id}:{alias}"
    if "task" in given:
        planned |= _request(work, model_id=version.model_id, task=given["task"], inputs=given["input"])
    return Plan(request=planned, version=version, name=f"{model.name}@{version.number}")


def _require_one_ask(given: Json) -> None:
    asked = [key for key in _ASKS if key in given]
    places = []
    if len(asked) != 1:
        places.append(Place(loc=(asked[1] if asked else "prompt",), message="give one of prompt, messages and task"))
    if ("input" in given) != ("task" in given):
        places.append(Place(loc=("input",), message="is needed with a task, and only there"))
    elif not isinstance(given.get("input", {}), Mapping):
        places.append(Place(loc=("input",), message="must be an object"))
    if places:
        raise InvalidError("the request does not say what to answer", places=places)


def _request(work: Work, *, model_id: str, task: str, inputs: Json) -> dict[str, Any]:
    found = tasks.find_named(work, model_id=model_id, name=task)
    if found is None:
        raise MissingError("the model has no such task", code="task_not_found")
    return Template.model_validate(found.template).request(inputs)
