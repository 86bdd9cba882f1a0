"""Projects: the tenants. There is one until keys exist."""

from typing import Final

from core.registry import projects
from core.registry.work import Work

DEFAULT_PROJECT_ID: Final = "prj_default"


def ensure_default(work: Work) -> None:
    """Create the default project unless it exists."""
    if projects.find(work, DEFAULT_PROJECT_ID) is None:
        projects.insert(work, project_id=DEFAULT_PROJECT_ID, name="default")
