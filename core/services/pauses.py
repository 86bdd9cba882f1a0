"""Pausing: a job stops with a checkpoint, keeps its place in its model's line, and goes on from there when resumed."""

from core.domain.errors import ConflictError, IllegalMoveError
from core.domain.jobs import JobState
from core.domain.ports import Dispatcher
from core.domain.records import Job
from core.registry import events, jobs
from core.registry.work import Work
from core.services.naming import require_job


def pause(work: Work, *, project_id: str, job_id: str) -> Job:
    """Pause at once what waits; ask the holder of what runs. Pausing again changes nothing.

    Raises:
        MissingError: ``job_not_found``.
        ConflictError: ``wrong_kind``: an inspection has no checkpoint to go on from; ``cancel_requested``.
        IllegalMoveError: ``wrong_state``: the job is over.
    """
    job = require_job(work, project_id=project_id, job_id=job_id, lock=True)
    if job.state is JobState.PAUSED or job.pause_requested:
        return job
    if job.model_id is None:
        raise ConflictError("an inspection cannot be paused: it would start anew", code="wrong_kind")
    if job.cancel_requested:
        raise ConflictError("the job shall be cancelled", code="cancel_requested")
    if job.state is not JobState.RUNNING:
        return jobs.move(work, job, to=JobState.PAUSED, actor=work.actor)
    return _ask(work, job, pause=True)


def resume(work: Work, *, project_id: str, job_id: str, dispatcher: Dispatcher) -> Job:
    """Put a paused job back into the queue, at its old place; one that has not stopped yet just goes on.

    Raises:
        MissingError: ``job_not_found``.
        IllegalMoveError: ``wrong_state``: the job is not paused.
    """
    job = require_job(work, project_id=project_id, job_id=job_id, lock=True)
    if job.pause_requested:
        return _ask(work, job, pause=False)
    if job.state is not JobState.PAUSED:
        raise IllegalMoveError(subject="job", state=job.state, to="resumed")
    resumed = jobs.move(work, job, to=JobState.QUEUED, actor=work.actor, data={"reason": "resumed"})
    work.after_commit(lambda: dispatcher.wake(resumed.id))
    return resumed


def _ask(work: Work, job: Job, *, pause: bool) -> Job:
    asked = jobs.change(work, job, pause_requested=pause)
    events.append(
        work,
        subject_id=job.id,
        project_id=job.project_id,
        kind="pause_requested" if pause else "pause_withdrawn",
        actor=work.actor,
        fence=job.fence,
    )
    return asked
