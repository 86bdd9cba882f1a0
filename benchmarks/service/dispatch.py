"""How soon an idle worker begins, and how soon another takes over what a killed one held."""

import asyncio
import os
import random
import signal
import statistics
import time
from contextlib import ExitStack
from typing import Any, Final

import psutil

from benchmarks.service.calls import task
from benchmarks.service.installation import MODELS, Installation, await_that
from benchmarks.service.load import answered, milliseconds
from core.domain.jobs import TERMINAL, JobState
from core.domain.records import Job
from core.services import jobs
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

ACCEPTED: Final = 202
# What the recovery tests run with; production has the settings' defaults. On a busy machine leases as short as these are
# lost unasked: that must not end the job.
TEST: Final[dict[str, float]] = {
    "lease_seconds": 1.0,
    "beat_seconds": 0.25,
    "sweep_seconds": 0.3,
    "poll_seconds": 0.1,
    "barren_limit": 1000,
}
PRODUCTION: Final[dict[str, float]] = {
    "lease_seconds": 60.0,
    "beat_seconds": 10.0,
    "sweep_seconds": 15.0,
    "poll_seconds": 0.5,
}


def latencies(service: Installation, *, rounds: int) -> dict[str, Any]:
    """Post a task to an idle worker, again and again; both ends are on the database's clock."""
    waited = []
    drawn = random.Random(0)  # noqa: S311 - when to ask
    with service.worker(), service.beat():
        _await_end(service, _post(service, "ok-warm"))
        for number in range(rounds):
            time.sleep(drawn.uniform(0.2, 0.9))
            done = _await_end(service, _post(service, f"ok-{number}"))
            waited.append(((done.started_ms or 0) - done.created_ms) / 1000)
    return {"rounds": rounds, "p50_ms": milliseconds(waited, 50), "p99_ms": milliseconds(waited, 99)}


def recoveries(service: Installation, *, rounds: int, settings: dict[str, float]) -> dict[str, Any]:
    """Kill the worker that holds a job while another is idle; return the seconds until the next claim."""
    found = [_recovery(service, number, settings) for number in range(rounds)]
    return {
        "settings": settings,
        "seconds": found,
        "seconds_median": statistics.median(found),
        "seconds_max": max(found),
    }


def _recovery(service: Installation, number: int, settings: dict[str, float]) -> float:
    with ExitStack() as running:
        running.enter_context(service.beat(**settings))
        workers = [running.enter_context(service.worker(**settings)) for _ in range(2)]
        job = _post(service, f"slow-{settings['lease_seconds']:g}-{number}", model=f"model-{number % MODELS}")
        await_that(lambda: _trains(service, job), what="the trainer")
        # Both must be there: one that only starts would add its start.
        time.sleep(3 * settings["poll_seconds"] + 1.0)
        held = _look(service, job)
        _kill_holder(held, workers)
        began = time.monotonic()
        await_that(lambda: _look(service, job).claims > held.claims, what="another claim", seconds=120)
        seconds = round(time.monotonic() - began, 2)
        with service.registry.write() as work:
            jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        _await_end(service, job)
    return seconds


def _trains(service: Installation, job: Job) -> bool:
    now = _look(service, job)
    return now.state is JobState.RUNNING and now.step > 0


def _kill_holder(job: Job, workers: list[psutil.Process]) -> None:
    """End the worker that holds the job, with its whole session, by SIGKILL."""
    holder = int(str(job.owner).split(":")[1])
    for worker in workers:
        if holder in {worker.pid, *(child.pid for child in worker.children(recursive=True))}:
            os.killpg(worker.pid, signal.SIGKILL)
            return
    raise LookupError("no worker of ours holds the job")


def _post(service: Installation, name: str, *, model: str = "model-0") -> Job:
    """Post a task over HTTP and return its job."""

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(task(service.key, model=model, name=name))
        status = await answered(reader)
        writer.close()
        return status

    status = asyncio.run(ask())
    if status != ACCEPTED:
        raise RuntimeError(f"the task was answered {status}")
    with service.registry.read() as work:
        return jobs.page(work, project_id=PROJECT, limit=1).data[0]


def _look(service: Installation, job: Job) -> Job:
    with service.registry.read() as work:
        return jobs.get(work, project_id=PROJECT, job_id=job.id)


def _await_end(service: Installation, job: Job) -> Job:
    await_that(lambda: _look(service, job).state in TERMINAL, what=f"the end of {job.id}")
    return _look(service, job)
