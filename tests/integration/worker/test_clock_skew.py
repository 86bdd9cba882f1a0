"""Workers whose wall clocks are an hour apart: leases are the database's business."""

import os
import signal
import time
from contextlib import suppress

import pytest
from installation import Installation, await_that

from core.domain.errors import UnavailableError
from core.domain.jobs import JobState
from core.domain.records import Job
from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

LEASE_SECONDS = 3
TRIES = 5
AHEAD = ("tests.skewed_worker", "3600")
BEHIND = ("tests.skewed_worker", "-3600")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lease_seconds", [LEASE_SECONDS])
def test_clocks_that_disagree_neither_steal_a_job_nor_keep_it(installation: Installation) -> None:
    with installation.worker(*AHEAD), installation.worker(*BEHIND):
        taken_over = next(filter(None, (held_up(installation, f"brief-{n}") for n in range(TRIES))), None)
        assert taken_over is not None, "no job was taken over, however often its holder was stopped"
        done = installation.await_end(taken_over)

    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    with installation.registry.read() as work:
        found = versions.page(work, project_id=PROJECT, model="support").data
        assert [version.fence for version in found if version.job_id == done.id] == [done.fence]


def held_up(installation: Installation, task: str) -> Job | None:
    """Stop who holds a job for three leases; return the job if somebody else takes it over, None if nobody can.

    Who is stopped in the middle of a transaction of SQLite's holds up everybody else, and ends the job once it goes on.
    """
    job = installation.submit(task)
    await_that(lambda: installation.job(job).step > 0)
    held = installation.job(job)
    holder = int(str(held.owner).split(":")[1])
    time.sleep(1)
    assert (installation.job(job).claims, installation.job(job).fence) == (1, held.fence)
    os.kill(holder, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 3 * LEASE_SECONDS
        while time.monotonic() < deadline:
            with suppress(UnavailableError):
                if installation.job(job).claims == 2:
                    return job
            time.sleep(0.1)
    finally:
        os.kill(holder, signal.SIGCONT)
    installation.await_end(job)
    return None
