"""`celery -A worker.control.celery_app worker --beat`: a worker that is woken over a broker.

The tasks say that there may be something to do; what is done is decided by the registry, in the same function that
the polling worker calls. They run in the one process of the worker's pool, which lives as long as the worker.
"""

import mmap
from contextlib import ExitStack
from functools import cache
from typing import Any, Final

import structlog
from celery import Celery, signals

from core.dispatch.protocol import QUEUE, SWEEP_TASK, WAKE_TASK, celery_configuration
from core.domain.errors import UnavailableError
from core.settings import Settings
from core.signals import logs
from worker.control import assembly
from worker.control.context import WorkerContext
from worker.control.loop import Sweeper, run_until_idle
from worker.control.preflight import DiskWatch

log = structlog.get_logger()

# One byte shared with the pool's processes, made before they are forked: set once this worker is shutting down.
# Celery itself tells only its main process; a flag without a lock can be set from a signal handler.
_DRAINING: Final = mmap.mmap(-1, 1)
# What the pool's process holds until it ends.
_HELD: Final = ExitStack()


def create_app(settings: Settings) -> Celery:
    """Return the Celery app of a worker, with its two tasks and the periodic sweep."""
    app = Celery("strata", set_as_current=False)

    @cache
    def context() -> WorkerContext:
        """Return what this process works with, opened by its first task: connections do not survive a fork."""
        return _HELD.enter_context(assembly.open_context(settings))

    app.conf.update(celery_configuration(settings.broker_url))
    app.conf.update(
        # In memory: the default keeps its schedule in a pickle.
        beat_scheduler="celery.beat:Scheduler",
        beat_max_loop_interval=settings.sweep_seconds,
        beat_schedule={
            "sweep": {
                "task": SWEEP_TASK,
                "schedule": settings.sweep_seconds,
                # Behind a long job they would pile up, and the first says it all.
                "options": {"queue": QUEUE, "expires": settings.sweep_seconds},
            },
        },
    )

    @app.task(name=WAKE_TASK)
    def wake(message: dict[str, Any]) -> None:
        """Carry through what is queued; ``message`` names the job that woke us, for the log."""
        log.info("worker.woken", job_id=message.get("job"))
        _work(context())

    @app.task(name=SWEEP_TASK)
    def sweep() -> None:
        """Free the jobs of dead workers, and carry through what is queued: some wake-up calls are lost."""
        _work(context())

    return app


def _work(context: WorkerContext) -> None:
    sweeper = Sweeper(context.desk, every_seconds=context.timings.sweep)
    disk = DiskWatch(context.jobs_dir, reserve_bytes=context.min_free_bytes)
    sweeper()
    context.collect()
    try:
        run_until_idle(context, stop_requested=_is_draining, sweeper=sweeper, disk=disk)
    except UnavailableError as error:
        log.warning("registry.away", error=error.detail)


def _is_draining() -> bool:
    return _DRAINING[0] != 0


@signals.worker_shutting_down.connect(weak=True)
def _drain(**_: object) -> None:
    _DRAINING[0] = 1


@signals.worker_process_shutdown.connect(weak=True)
def _close(**_: object) -> None:
    _HELD.close()


@signals.setup_logging.connect(weak=True)
def _configure_logs(**_: object) -> None:
    logs.configure(Settings().log_format)


app = create_app(Settings())
