"""Quotas: what a project may hold at once. How often it may call is counted at the API's door."""

from dataclasses import dataclass
from typing import Final

from core.domain.errors import QuotaError
from core.domain.records import Project
from core.registry import datasets, exports, jobs, projects
from core.registry.work import Work

# Jobs end by themselves; nobody's files do.
_JOBS_RETRY_SECONDS: Final = 30
_BYTES_RETRY_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a project holds of what its quotas count."""

    open_jobs: int
    bytes: int


def use(work: Work, *, project_id: str) -> Use:
    """Return what the project holds now."""
    return Use(
        open_jobs=jobs.count_open(work, project_id=project_id),
        bytes=_kept_bytes(work, project_id),
    )


def require_open_job(work: Work, *, project_id: str) -> None:
    """Check that one more job may be open.

    Raises:
        QuotaError: ``too_many_open_jobs``.
    """
    limit = _project(work, project_id).max_open_jobs
    if limit is None:
        return
    projects.lock(work, project_id)
    if jobs.count_open(work, project_id=project_id) >= limit:
        raise QuotaError(
            f"the project has {limit} open jobs, which is its quota",
            code="too_many_open_jobs",
            retry_after_seconds=_JOBS_RETRY_SECONDS,
        )


def require_bytes(work: Work, *, project_id: str, size_bytes: int) -> None:
    """Check that a dataset, or an export, of ``size_bytes`` more may be kept.

    Raises:
        QuotaError: ``too_many_bytes``.
    """
    limit = _project(work, project_id).max_bytes
    if limit is None:
        return
    projects.lock(work, project_id)
    used = _kept_bytes(work, project_id)
    if used + size_bytes > limit:
        raise QuotaError(
            f"the project's datasets and exports take {used} of the {limit} bytes of its quota, and this one {size_bytes}",
            code="too_many_bytes",
            retry_after_seconds=_BYTES_RETRY_SECONDS,
        )


def _kept_bytes(work: Work, project_id: str) -> int:
    return datasets.total_bytes(work, project_id=project_id) + exports.total_bytes(work, project_id=project_id)


def _project(work: Work, project_id: str) -> Project:
    found = projects.find(work, project_id)
    if found is None:
        raise LookupError("rows without a project cannot be")
    return found
