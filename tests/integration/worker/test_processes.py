"""The polling worker as a real process: killed, stopped and started again."""

import os
import signal
import time

import pytest
from installation import Installation, await_that, is_alive

from core.domain.jobs import JobState
from core.domain.records import Job

# What is about processes alone needs one database only.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def trainer_of(installation: Installation, job: Job) -> int:
    """Wait until the job's trainer works; return its process id."""
    await_that(lambda: installation.job(job).step > 0)
    return int((installation.folder(job) / "trainer.pid").read_text())


@pytest.mark.parametrize("lease_seconds", [4])
def test_killing_the_worker_leaves_no_orphan_and_a_new_one_finishes_the_job(installation: Installation) -> None:
    job = installation.submit("brief-a")
    with installation.worker() as worker:
        trainer = trainer_of(installation, job)

        worker.kill()

        await_that(lambda: not is_alive(trainer), seconds=2)
    killed = time.monotonic()

    with installation.worker():
        await_that(lambda: installation.job(job).claims == 2, seconds=15)
        recovered = time.monotonic() - killed
        done = installation.await_end(job)

    assert done.state is JobState.SUCCEEDED
    # The lease, a sweep, and the start of a Python process on a busy machine.
    assert recovered < installation.settings.lease_seconds + installation.settings.sweep_seconds + 5


@on_sqlite
def test_even_a_trainer_that_heeds_nothing_dies_with_its_worker(installation: Installation) -> None:
    job = installation.submit("free-a")
    with installation.worker() as worker:
        trainer = trainer_of(installation, job)

        worker.kill()

        await_that(lambda: not is_alive(trainer), seconds=2)


@on_sqlite
def test_killing_the_trainer_makes_the_worker_try_again(installation: Installation) -> None:
    job = installation.submit("brief-a")
    with installation.worker():
        os.kill(trainer_of(installation, job), signal.SIGKILL)

        done = installation.await_end(job)

    assert done.state is JobState.SUCCEEDED
    assert done.claims == 2


@on_sqlite
def test_a_stopped_worker_puts_its_job_back_and_exits_cleanly(installation: Installation) -> None:
    job = installation.submit("slow-a")
    with installation.worker() as worker:
        trainer = trainer_of(installation, job)

        worker.send_signal(signal.SIGTERM)

        assert worker.wait(10) == 0
    assert not is_alive(trainer)
    assert installation.job(job).state is JobState.QUEUED


def test_two_workers_share_the_jobs_of_two_models(installation: Installation) -> None:
    installation.create_model("second")
    submitted = [installation.submit(f"ok-{n}", model=model) for n in range(3) for model in ("support", "second")]
    with installation.worker(), installation.worker():
        done = [installation.await_end(job) for job in submitted]

    assert {job.state for job in done} == {JobState.SUCCEEDED}
    assert {job.claims for job in done} == {1}
