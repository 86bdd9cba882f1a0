"""Projects: the tenants, and what each may use."""

from collections.abc import Mapping
from typing import Final

from core.domain.errors import MissingError
from core.domain.identifiers import new_id
from core.domain.records import Project
from core.registry import events, projects
from core.registry.work import Work
from core.services.naming import require_name

DEFAULT_PROJECT_ID: Final = "prj_default"
OWN: Final = "own"
QUOTAS: Final = ("max_open_jobs", "max_bytes", "max_requests_per_minute", "max_generations")


def ensure_default(work: Work) -> None:
    """Create the default project unless it exists."""
    if not projects.exists(work, DEFAULT_PROJECT_ID):
        projects.add(work, project_id=DEFAULT_PROJECT_ID, name="default")


def ensure_named(work: Work, *, name: str) -> Project:
    """Return the project of a name, made if there is none: for the operator.

    Raises:
        InvalidError: ``invalid_name``.
    """
    found = projects.find_named(work, name)
    if found is None:
        project_id = new_id("prj")
        projects.add(work, project_id=project_id, name=require_name(name, loc=("project",)))
        events.append(work, subject_id=project_id, project_id=project_id, kind="created", actor=work.actor)
        found = get(work, project_id=project_id, reference=OWN)
    return found


def named(work: Work, *, name: str) -> Project:
    """Return the project of a name: for the operator.

    Raises:
        MissingError: ``project_not_found``.
    """
    found = projects.find_named(work, name)
    if found is None:
        raise MissingError("there is no such project", code="project_not_found")
    return found


def get(work: Work, *, project_id: str, reference: str) -> Project:
    """Return the caller's project, if that is what ``reference``, an id or ``own``, names.

    Raises:
        MissingError: ``project_not_found``: to its members, other projects are not there.
    """
    found = projects.find(work, project_id) if reference in {project_id, OWN} else None
    if found is None:
        raise MissingError("there is no such project", code="project_not_found")
    return found


def set_quotas(work: Work, *, project_id: str, reference: str, quotas: Mapping[str, int | None]) -> Project:
    """Change the project's quotas of these names (of `QUOTAS`); None lifts one.

    Raises:
        MissingError: ``project_not_found``.
    """
    found = get(work, project_id=project_id, reference=reference)
    changed = projects.change(work, found.id, quotas) if quotas else found
    events.append(
        work, subject_id=found.id, project_id=found.id, kind="quotas_changed", actor=work.actor, data=dict(quotas)
    )
    return changed
