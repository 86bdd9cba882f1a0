"""The Celery dispatcher, whole: a real Redis, a real worker process, and a broker that goes away."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Install, Installation, await_that, is_alive
from real_redis import start_redis

from core.dispatch.broker import BrokerDispatcher
from core.domain.jobs import JobState
from core.domain.records import Job
from core.registry import events

# The pairing of production: PostgreSQL and Celery. (The polling worker is tested on both databases.)
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WORKER = ("celery", "-A", "worker.control.celery_app", "worker", "--beat", "--loglevel=INFO")
NO_BEAT = tuple(part for part in WORKER if part != "--beat")


@pytest.fixture
def broker_url(redis_port: int) -> str:
    return f"redis://127.0.0.1:{redis_port}/0"


@pytest.fixture
def celery_installation(install: Install, broker_url: str) -> Iterator[Installation]:
    dispatcher = BrokerDispatcher.over(broker_url)
    made = install(dispatcher=dispatcher, broker_url=broker_url)
    made.add_base_model()
    made.work_off()
    made.create_model()
    yield made
    dispatcher.close()


@pytest.mark.usefixtures("redis_server")
def test_a_wake_up_call_makes_a_celery_worker_finish_the_job(celery_installation: Installation) -> None:
    with celery_installation.worker(*NO_BEAT):
        job = celery_installation.submit("ok-a")

        assert celery_installation.await_end(job).state is JobState.SUCCEEDED


@pytest.mark.usefixtures("redis_server")
def test_one_worker_process_finishes_many_jobs(celery_installation: Installation) -> None:
    with celery_installation.worker(*NO_BEAT):
        jobs = [celery_installation.submit(f"ok-{n}") for n in range(4)]

        done = [celery_installation.await_end(job) for job in jobs]

    assert [job.state for job in done] == [JobState.SUCCEEDED] * 4
    assert [job.claims for job in done] == [1] * 4
    # Until a new process of the pool is given work, seconds pass: all four were one process's.
    assert len({claimer(celery_installation, job) for job in jobs}) == 1


def claimer(installation: Installation, job: Job) -> str:
    """Return who claimed a job."""
    with installation.registry.read() as work:
        told = events.page(work, subject_id=job.id, after=0, limit=100).data
    return next(event.actor for event in told if event.to_state == JobState.RUNNING)


@pytest.mark.usefixtures("redis_server")
def test_a_warm_stop_puts_the_running_job_back_at_once(celery_installation: Installation) -> None:
    with celery_installation.worker(*NO_BEAT) as worker:
        job = celery_installation.submit("slow-a")
        await_that(lambda: celery_installation.job(job).step > 0)

        worker.send_signal(signal.SIGTERM)

        assert worker.wait(15) == 0
    assert celery_installation.job(job).state is JobState.QUEUED


@pytest.mark.usefixtures("redis_server")
def test_killing_a_celery_worker_leaves_no_orphan(celery_installation: Installation) -> None:
    with celery_installation.worker(*NO_BEAT) as worker:
        job = celery_installation.submit("free-a")
        await_that(lambda: celery_installation.job(job).step > 0)
        trainer = int((celery_installation.folder(job) / "trainer.pid").read_text())

        worker.kill()

        await_that(lambda: not is_alive(trainer), seconds=2)


def test_jobs_submitted_while_the_broker_is_away_run_once_it_is_back(
    celery_installation: Installation, redis_port: int, tmp_path: Path
) -> None:
    job = celery_installation.submit("ok-a")

    server: subprocess.Popen[bytes] = start_redis(redis_port, tmp_path)
    try:
        with celery_installation.worker(*WORKER):
            assert celery_installation.await_end(job).state is JobState.SUCCEEDED
    finally:
        server.kill()
        server.wait()
