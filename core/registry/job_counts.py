"""What is counted of jobs, whenever one of them moves."""

from typing import Final

from core.domain.jobs import TERMINAL, JobState
from core.domain.records import Job
from core.registry.tallies import bucket_of
from core.registry.work import Work

CLAIMS: Final = "job_claims"
FINISHED: Final = "jobs_finished"
CLAIM_LATENCY: Final = "job_claim_latency_seconds"
DURATION: Final = "job_duration_seconds"
# Upper bounds of the buckets of both histograms, in seconds.
BOUNDS: Final = {
    CLAIM_LATENCY: (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0),
    DURATION: (1.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0),
}
SUM: Final = "sum"


def note_move(work: Work, before: Job, after: Job) -> None:
    """Count that a job moved from ``before`` to ``after``."""
    started_ms = after.started_ms
    if after.state is JobState.RUNNING:
        work.count(CLAIMS, after.kind)
        if before.claims == 0 and started_ms is not None:
            _observe(work, CLAIM_LATENCY, started_ms - after.created_ms)
    elif after.state in TERMINAL:
        work.count(FINISHED, after.kind, after.state, after.error_code or "", method_of(after))
        if started_ms is not None and after.finished_ms is not None:
            _observe(work, DURATION, after.finished_ms - started_ms)


def method_of(job: Job) -> str:
    """Return the preset that a job's method began with; empty for a job that learns nothing."""
    return str((job.params.get("recipe") or {}).get("name", ""))


def _observe(work: Work, name: str, milliseconds: int) -> None:
    seconds = max(0, milliseconds) / 1000
    work.count(name, bucket_of(seconds, BOUNDS[name]))
    work.count(name, SUM, by=seconds)
