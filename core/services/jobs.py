"""Jobs, as their users see them; the verbs of the worker that holds one are in `core.services.claims`."""

from core.domain.jobs import JobState
from core.domain.ports import Dispatcher
from core.domain.records import Event, Job, MetricPoint, Page
from core.registry.pages import Order
from core.registry.work import Work
from core.services.claims import BeatAnswer, beat, claim, confirm_cancelled, fail, record, release, sweep

__all__ = [
    "BeatAnswer",
    "beat",
    "cancel",
    "claim",
    "confirm_cancelled",
    "events",
    "fail",
    "get",
    "metrics",
    "page",
    "queue_position",
    "record",
    "release",
    "retry",
    "sweep",
]


def get(work: Work, *, project_id: str, job_id: str) -> Job:
    """Return a job.

    Raises:
        MissingError: ``job_not_found``.
    """
    raise NotImplementedError


def page(  # noqa: PLR0913 - filters and a cursor
    work: Work,
    *,
    project_id: str,
    model: str | None = None,
    state: JobState | None = None,
    limit: int = 20,
    after: str | None = None,
    order: Order = "desc",
) -> Page[Job]:
    """Return the project's jobs, or those of one model (name or id) or in one state."""
    raise NotImplementedError


def cancel(work: Work, *, project_id: str, job_id: str) -> Job:
    """Cancel at once what waits; ask the holder of what runs. Cancelling again changes nothing.

    Raises:
        MissingError: ``job_not_found``.
        IllegalMoveError: ``wrong_state``: the job is over otherwise.
    """
    raise NotImplementedError


def retry(work: Work, *, project_id: str, job_id: str, dispatcher: Dispatcher) -> Job:
    """Queue a new job like one that failed, was rejected or was cancelled.

    Raises:
        MissingError: ``job_not_found``.
        ConflictError: ``wrong_state``.
    """
    raise NotImplementedError


def queue_position(work: Work, *, project_id: str, job_id: str) -> int | None:
    """Return 1 for the queued job that is next, 2 for the one behind it, ...; None unless the job is queued."""
    raise NotImplementedError


def events(work: Work, *, project_id: str, job_id: str, after: int = 0, limit: int = 100) -> Page[Event]:
    """Return the job's events with a number above ``after``, oldest first."""
    raise NotImplementedError


def metrics(
    work: Work, *, project_id: str, job_id: str, series: tuple[str, ...] = (), max_points: int = 500
) -> tuple[MetricPoint, ...]:
    """Return the job's curves by series and step, each thinned to ``max_points``; no ``series`` means all."""
    raise NotImplementedError
