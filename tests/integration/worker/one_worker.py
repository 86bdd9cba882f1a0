"""A worker in a process of its own that works until every job is over: what other processes fork is cheap to start."""

import multiprocessing
import os
import time
from pathlib import Path

from core.domain.crash_points import VARIABLE
from core.domain.jobs import JobState
from core.services import jobs
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.settings import Settings
from worker.control import assembly
from worker.control.context import WorkerContext
from worker.control.loop import Sweeper, run_next
from worker.control.registry_desk import RegistryDesk

# A process that has loaded the worker's code once, and forks: nothing of this process's goes with them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["worker.control.assembly", "worker.control.loop", "worker.control.registry_desk"])
PATIENCE_SECONDS = 60


def run(settings: Settings, fuses: Path) -> int | None:
    """Run one worker over the fuses of ``fuses``; return how it ended: 0, or negative by which signal."""
    process = FORKS.Process(target=_carry_on, args=(settings, fuses))
    process.start()
    process.join(PATIENCE_SECONDS)
    return process.exitcode


def _carry_on(settings: Settings, fuses: Path) -> None:
    os.environ[VARIABLE] = str(fuses)
    with assembly.open_context(settings) as context:
        sweeper = Sweeper(context.desk, every_seconds=settings.sweep_seconds)
        while _is_busy(context):
            sweeper()
            run_next(context, stop_requested=lambda: False, chores=lambda: None)
            time.sleep(0.02)


def _is_busy(context: WorkerContext) -> bool:
    assert isinstance(context.desk, RegistryDesk)
    with context.desk._registry.read() as work:
        waiting = (JobState.QUEUED, JobState.RUNNING)
        return any(jobs.page(work, project_id=PROJECT, state=state, limit=1).data for state in waiting)
