"""Projects: the tenants. There is one until keys exist."""

from typing import Final

from core.registry import projects
from core.registry.work import Work

DEFAULT_PROJECT_ID: Final = "prj_default"


def ensure_default(work: Work) -> None:
    """Create the default project unless it exists."""
    if not projects.exists(work, DEFAULT_PROJECT_ID):
        projects.add(work, project_id=DEFAULT_PROJECT_ID, name="default")
