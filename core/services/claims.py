"""Jobs, as the worker that holds one sees them: claim, beat, record, and every way to let go.

The fence is the claim's number. Each verb here is a compare-and-swap on it: a worker that was presumed dead writes
nothing. Leases only say who is presumed alive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.domain import job_folder
from core.domain.jobs import JobKind, JobState, Phase
from core.domain.records import Job, MetricPoint
from core.registry import aliases, events, jobs, measures, models, queue
from core.registry.work import Work
from core.services.endings import end

# Progress is a row of the job at every step; as events, for those who follow, this often is enough.
PROGRESS_EVENT_MS: Final = 1_000
# What is counted, see `core.registry.tallies`.
SWEEPS: Final = "sweeps"
BROKEN_OFF: Final = "job_attempts_broken_off"
CHECKPOINTS: Final = "training_checkpoints"
STEPS: Final = "training_steps"


@dataclass(frozen=True, slots=True)
class BeatAnswer:
    """What a holder learns from its heartbeat: what users ask of it."""

    cancel_requested: bool = False
    pause_requested: bool = False


def claim(work: Work, *, owner: str, lease_seconds: float) -> Job | None:
    """Take the oldest queued job whose model is free, or None.

    The job starts from the version that its model's `latest` names, or from the one that it was asked of; one that
    expected `latest` to name another ends as failed with ``parent_conflict``, and the next is tried.
    """
    while job := queue.next_job(work):
        fence = job.claims + 1 if job.model_id is None else models.next_fence(work, job.model_id)
        head = _latest(work, job)
        if job.expected_parent is None or job.expected_parent == head:
            parent = job.params.get("version_id") or head
            return _start(work, job, owner=owner, fence=fence, lease_seconds=lease_seconds, parent=parent)
        detail = f"latest named {head} when the job's turn came"
        end(work, job, to=JobState.FAILED, actor=owner, code="parent_conflict", detail=detail)
    return None


def beat(work: Work, *, job_id: str, fence: int, lease_seconds: float) -> BeatAnswer:
    """Renew the lease.

    Raises:
        LostLeaseError: another claim was made, or the job is over: stop, and write nothing.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    jobs.change(work, job, lease_ms=work.now_ms() + round(1000 * lease_seconds))
    return BeatAnswer(cancel_requested=job.cancel_requested, pause_requested=job.pause_requested)


def record(work: Work, *, job_id: str, fence: int, events: Sequence[job_folder.Event]) -> None:
    """Note what the trainer reported: phase, progress, curves, checkpoints; scores wait for publication.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    steps = [event for event in events if isinstance(event, job_folder.ProgressEvent)]
    _note_phases(work, job, [event.phase for event in events if isinstance(event, job_folder.PhaseEvent)])
    _note_checkpoints(work, job, [event.step for event in events if isinstance(event, job_folder.CheckpointEvent)])
    _note_progress(work, job, steps)


def fail(work: Work, *, job_id: str, fence: int, code: str, detail: str) -> Job:
    """End the job as failed; a failed `inspect` job fails its base model.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    return end(work, job, to=JobState.FAILED, actor=_actor(job), code=code, detail=detail)


def confirm_cancelled(work: Work, *, job_id: str, fence: int) -> Job:
    """End the job as cancelled: its trainer is gone.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    return end(work, job, to=JobState.CANCELLED, actor=_actor(job))


def confirm_paused(work: Work, *, job_id: str, fence: int) -> Job:
    """Pause the job: its trainer is gone. Back to the queue with it, where resuming was faster.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    return _let_go(work, job, actor=_actor(job), barren=job.barren, reason="paused")


def release(work: Work, *, job_id: str, fence: int) -> Job:
    """Put the job back to its place in the queue: the worker stops in good order.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    return _let_go(work, job, actor=_actor(job), barren=job.barren, reason="released")


def give_up(work: Work, *, job_id: str, fence: int, barren_limit: int, reason: str) -> Job:
    """Let go of the job because the attempt at it broke off: tried again, or ended, as `sweep` does.

    ``reason`` is a word for what happened, e.g. ``stalled``.

    Raises:
        LostLeaseError: see `beat`.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    return _take_away(work, job, actor=_actor(job), reason=reason, barren_limit=barren_limit)


def sweep(work: Work, *, barren_limit: int) -> tuple[Job, ...]:
    """Take jobs away from holders whose lease ran out; return the jobs that were moved. Anyone may run it any time.

    They go back to the queue, or end: as cancelled where that was asked, as failed with ``poison_job`` at the
    ``barren_limit``-th claim in a row without a checkpoint.
    """
    abandoned = queue.abandoned(work)
    work.count(SWEEPS)
    how = {"actor": "sweep", "reason": "lease_expired"}
    return tuple(_take_away(work, job, barren_limit=barren_limit, **how) for job in abandoned)


def trim_leases(work: Work, *, lease_seconds: float) -> None:
    """Cut leases that end later than any could: the clock went back since they were given.

    A holder that lives renews its lease in any case; one that died would keep its job until the clock has caught up.
    """
    queue.trim_leases(work, latest_ms=work.now_ms() + round(1000 * lease_seconds))


def _take_away(work: Work, job: Job, *, actor: str, reason: str, barren_limit: int) -> Job:
    """Count the claim as barren; a new checkpoint sets the count to zero."""
    work.count(BROKEN_OFF, reason)
    barren = job.barren + 1
    if job.cancel_requested:
        return end(work, job, to=JobState.CANCELLED, actor=actor)
    if barren >= barren_limit:
        detail = f"{barren} attempts in a row broke off before a new checkpoint; the last one: {reason}"
        return end(work, job, to=JobState.FAILED, actor=actor, code="poison_job", detail=detail)
    return _let_go(work, job, actor=actor, barren=barren, reason=reason)


def _let_go(work: Work, job: Job, *, actor: str, barren: int, reason: str) -> Job:
    """Put the job where its user wants it now that nobody holds it: to its place in the queue, unless asked otherwise."""
    if job.cancel_requested:
        return end(work, job, to=JobState.CANCELLED, actor=actor)
    changes = {"phase": None, "deadline_ms": None, "barren": barren}
    to = JobState.PAUSED if job.pause_requested else JobState.QUEUED
    return jobs.move(work, job, to=to, actor=actor, changes=changes, data={"reason": reason})


def _latest(work: Work, job: Job) -> str | None:
    found = job.model_id and aliases.find(work, model_id=job.model_id, name="latest")
    return found.version_id if found else None


def _start(work: Work, job: Job, *, owner: str, fence: int, lease_seconds: float, parent: str | None) -> Job:
    now_ms = work.now_ms()
    timeout = (job.params.get("recipe") or job.params).get("timeout_seconds")
    changes = {
        "owner": owner,
        "fence": fence,
        "lease_ms": now_ms + round(1000 * lease_seconds),
        "claims": job.claims + 1,
        "parent_version_id": parent if job.kind is not JobKind.INSPECT else None,
        "phase": Phase.PREPARING,
        "started_ms": job.started_ms or now_ms,
        "deadline_ms": timeout and now_ms + 1000 * timeout,
    }
    if parent != job.parent_version_id:
        # It begins anew: what it had reached from another version counts for nothing.
        changes["checkpoint_step"] = None
    data = {"claim": job.claims + 1, "parent_version_id": parent}
    return jobs.move(work, job, to=JobState.RUNNING, actor=owner, changes=changes, data=data)


def _note_phases(work: Work, job: Job, phases: Sequence[Phase]) -> None:
    now = job.phase
    for phase in phases:
        if phase is not now:
            jobs.change(work, job, phase=phase)
            _tell(work, job, kind="phase", data={"phase": phase})
        now = phase


def _note_checkpoints(work: Work, job: Job, steps: Sequence[int]) -> None:
    """Note checkpoints; only one beyond all before it shows that trying again leads anywhere."""
    reached = job.checkpoint_step
    for step in steps:
        if reached is None or step > reached:
            jobs.change(work, job, barren=0, checkpoint_step=step)
            reached = step
        work.count(CHECKPOINTS)
        _tell(work, job, kind="checkpoint", data={"step": step})


def _note_progress(work: Work, job: Job, steps: Sequence[job_folder.ProgressEvent]) -> None:
    if not steps:
        return
    points = [MetricPoint(series=name, step=at.step, value=value) for at in steps for name, value in at.values.items()]
    measures.record_points(work, project_id=job.project_id, job_id=job.id, points=points)
    last = steps[-1]
    if job.kind is JobKind.TRAIN:
        work.count(STEPS, by=max(0, last.step - job.step))
    progress = {"step": last.step, "total_steps": last.total_steps, "eta_seconds": last.eta_seconds}
    jobs.change(work, job, **progress)
    told_ms = events.last_ms(work, subject_id=job.id, kind="progress")
    # While a trainer scores it repeats its last step as a sign of life.
    due = told_ms is None or work.now_ms() - told_ms >= PROGRESS_EVENT_MS or last.step == last.total_steps
    if due and (told_ms is None or last.step != job.step):
        _tell(work, job, kind="progress", data={**progress, "values": dict(last.values)})


def _tell(work: Work, job: Job, *, kind: str, data: dict[str, Any]) -> None:
    events.append(
        work,
        subject_id=job.id,
        project_id=job.project_id,
        kind=kind,
        actor=_actor(job),
        fence=job.fence,
        data=data,
    )


def _actor(job: Job) -> str:
    return job.owner or "worker"
