"""What the registry can tell those who watch the service: gauges of this moment, and counts of all time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.domain.jobs import JobKind
from core.domain.records import Job
from core.registry import events, gauges, job_counts, tallies, versions
from core.registry.gauges import Queue
from core.registry.tallies import Key
from core.registry.work import Work
from core.services import claims

Counts = Mapping[Key, float]

# What is counted, and by which labels: see where each is counted.
JOBS_FINISHED: Final = job_counts.FINISHED
JOB_CLAIMS: Final = job_counts.CLAIMS
JOB_CLAIM_LATENCY: Final = job_counts.CLAIM_LATENCY
JOB_DURATION: Final = job_counts.DURATION
JOB_ATTEMPTS_BROKEN_OFF: Final = claims.BROKEN_OFF
SWEEPS: Final = claims.SWEEPS
TRAINING_STEPS: Final = claims.STEPS
TRAINING_CHECKPOINTS: Final = claims.CHECKPOINTS
VERSIONS_PUBLISHED: Final = versions.PUBLISHED
VERSION_MOVES: Final = versions.MOVED
# Of the two histograms: upper bounds of their buckets, and the label of the sum.
BOUNDS: Final = job_counts.BOUNDS
SUM: Final = job_counts.SUM
INFINITY: Final = tallies.INFINITY

# Of more jobs that train at once the rest goes unseen, in the figures of training alone.
MAX_TRAINING: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What the running jobs of one method said last.

    Attributes:
        method: the preset that the method began with.
        loss: this, ``sparsity`` and ``step_seconds`` are of the job that beat last; None until it has said them.
        checkpoint_age_seconds: since the last checkpoint, or the first claim, of the job that waits the longest.
    """

    method: str
    jobs: int
    loss: float | None
    sparsity: float | None
    step_seconds: float | None
    checkpoint_age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One look; ``counts`` are the tallies by name and labels."""

    queue: Queue
    oldest_queued_seconds: float
    training: tuple[Training, ...]
    counts: Counts


def look(work: Work) -> Telemetry:
    """Return how the service stands."""
    queue = gauges.queue(work)
    oldest_ms = queue.oldest_queued_ms
    return Telemetry(
        queue=queue,
        oldest_queued_seconds=0.0 if oldest_ms is None else max(0.0, (work.now_ms() - oldest_ms) / 1000),
        training=_training(work),
        counts=tallies.totals(work.connection),
    )


def _training(work: Work) -> tuple[Training, ...]:
    by_method: dict[str, list[Job]] = {}
    for job in gauges.running(work, kind=JobKind.TRAIN, limit=MAX_TRAINING):
        by_method.setdefault(job_counts.method_of(job), []).append(job)
    return tuple(_of_method(work, method, jobs) for method, jobs in sorted(by_method.items()))


def _of_method(work: Work, method: str, jobs: list[Job]) -> Training:
    latest = jobs[-1]
    saved_ms = [
        events.last_ms(work, subject_id=job.id, kind="checkpoint") or job.started_ms or work.now_ms() for job in jobs
    ]
    return Training(
        method=method,
        jobs=len(jobs),
        loss=gauges.last_value(work, latest.id, series="loss"),
        sparsity=gauges.last_value(work, latest.id, series="sparsity"),
        step_seconds=_step_seconds(latest),
        checkpoint_age_seconds=max(0.0, (work.now_ms() - min(saved_ms)) / 1000),
    )


def _step_seconds(job: Job) -> float | None:
    """Return what a step takes, by what the trainer expects the rest of them to take."""
    if job.eta_seconds is None or job.total_steps is None or job.step >= job.total_steps:
        return None
    return job.eta_seconds / (job.total_steps - job.step)
