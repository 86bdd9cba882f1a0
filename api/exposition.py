"""`/metrics`: what this process measured, what the registry knows of jobs and training, and what the engine says."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.backend_exposition import BackendCollector
from api.context import Context
from api.metering import Meters
from core.domain.errors import UnavailableError
from core.services import telemetry
from core.services.telemetry import Counts, Telemetry, Training
from core.storage import space

# Counters that the registry keeps: under its name, ours, what it is, and the labels of each row.
COUNTERS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    telemetry.JOBS_FINISHED: (
        "strata_jobs_finished",
        "Jobs that are over, by kind, final state, error code and method.",
        ("kind", "state", "code", "method"),
    ),
    telemetry.JOB_CLAIMS: ("strata_job_claims", "Times that a worker took a job.", ("kind",)),
    telemetry.JOB_ATTEMPTS_BROKEN_OFF: (
        "strata_job_attempts_broken_off",
        "Claims that ended without a result: lease_expired means that the worker was lost.",
        ("reason",),
    ),
    telemetry.SWEEPS: ("strata_sweeps", "Searches for expired leases.", ()),
    telemetry.TRAINING_STEPS: (
        "strata_training_steps",
        "Optimiser steps done; what is repeated after a crash counts once.",
        (),
    ),
    telemetry.TRAINING_CHECKPOINTS: ("strata_training_checkpoints", "Checkpoints written.", ()),
    telemetry.VERSIONS_PUBLISHED: ("strata_versions_published", "Versions that jobs left, by state.", ("state",)),
    telemetry.VERSION_MOVES: (
        "strata_version_moves",
        "Versions that changed to a state later: corrupt is the one to watch.",
        ("state",),
    ),
}
HISTOGRAMS: Final[dict[str, tuple[str, str]]] = {
    telemetry.JOB_CLAIM_LATENCY: ("strata_job_claim_latency_seconds", "From a job's making to its first claim."),
    telemetry.JOB_DURATION: ("strata_job_duration_seconds", "From a job's first claim to its end."),
}


class ServiceCollector(Collector):
    """Gauges and counts over all processes, read at each scrape: workers need no port of their own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Yield every family; while the registry is away, those that need it are without samples."""
        try:
            with self._context.registry.read() as work:
                found = telemetry.look(work)
        except UnavailableError:
            found = None
        yield _gauge("strata_registry_up", "Whether the registry answered this scrape.", float(found is not None))
        yield _gauge(
            "strata_data_free_bytes",
            "Free space of the data folder.",
            space.free_bytes(self._context.settings.data_dir),
        )
        yield from _queue(found)
        yield from _training(found.training if found else ())
        counts: Counts = found.counts if found else {}
        yield from (_counter(name, counts) for name in COUNTERS)
        yield from (_histogram(name, counts) for name in HISTOGRAMS)


def render(context: Context, meters: Meters) -> bytes:
    """Return everything in Prometheus' text format."""
    return generate_latest(meters.registry) + generate_latest(BackendCollector(context.generator))


def _queue(found: Telemetry | None) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("strata_jobs_open", "Jobs that are not over.", labels=("state",))
    oldest = GaugeMetricFamily("strata_job_oldest_queued_seconds", "Age of the oldest queued job; 0 without any.")
    overdue = GaugeMetricFamily("strata_job_leases_overdue", "Running jobs whose lease ran out and that nobody swept.")
    if found is not None:
        for state in ("queued", "running", "paused"):
            jobs.add_metric((state,), getattr(found.queue, state))
        oldest.add_metric((), found.oldest_queued_seconds)
        overdue.add_metric((), found.queue.overdue)
    yield from (jobs, oldest, overdue)


def _training(found: tuple[Training, ...]) -> Iterator[Metric]:
    """Yield what the running jobs of each method said last."""
    for field, name, meaning in (
        ("jobs", "strata_training_jobs", "Running jobs that train."),
        ("loss", "strata_training_loss", "Loss that a running job said last."),
        ("sparsity", "strata_training_sparsity_ratio", "Share of entries that the gate drops, as said last."),
        ("step_seconds", "strata_training_step_seconds", "What an optimiser step takes, as said last."),
        (
            "checkpoint_age_seconds",
            "strata_training_checkpoint_age_seconds",
            "Since the last checkpoint, of the running job that waits the longest.",
        ),
    ):
        family = GaugeMetricFamily(name, meaning, labels=("method",))
        for each in found:
            if (value := getattr(each, field)) is not None:
                family.add_metric((each.method,), value)
        yield family


def _counter(name: str, counts: Counts) -> Metric:
    title, meaning, labels = COUNTERS[name]
    family = CounterMetricFamily(title, meaning, labels=labels)
    rows = {values: value for (counted, values), value in counts.items() if counted == name}
    # A counter without labels is there from the start: its rate is then known from its first increase on.
    for values, value in (rows if labels else {(): 0.0, **rows}).items():
        family.add_metric(values, value)
    return family


def _histogram(name: str, counts: Counts) -> Metric:
    family = HistogramMetricFamily(*HISTOGRAMS[name])
    bounds = [*map(str, telemetry.BOUNDS[name]), telemetry.INFINITY]
    cumulated = accumulate(counts.get((name, (bound,)), 0.0) for bound in bounds)
    family.add_metric((), list(zip(bounds, cumulated, strict=True)), counts.get((name, (telemetry.SUM,)), 0.0))
    return family


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
