"""Generation: turn a user's request into the engine's, by what the registry knows."""

from typing import Any

from core.domain.records import Json
from core.registry.work import Work


def plan(work: Work, *, project_id: str, request: Json) -> dict[str, Any]:
    """Return the engine's request for a user's.

    ``request`` holds ``model`` (a reference as in `versions.resolve`), one of ``prompt``, ``messages`` or ``task``
    with ``input``, and sampling fields, which are passed on as they are. In the answer ``model`` is
    ``<model id>:<alias>`` for a moving name and the version's id for a fixed one; task and input become a ``prompt``
    by the template that the task was trained with.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found``, ``alias_not_found`` or ``task_not_found``.
        InvalidError: not exactly one of prompt, messages and task; or the input does not fit the template.
        ConflictError: ``wrong_state``: the version is not ready.
    """
    raise NotImplementedError
