"""Workers whose wall clocks are an hour apart: leases are the database's business."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from installation import Installation, await_that

from core.domain.errors import UnavailableError
from core.domain.jobs import JobState
from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

LEASE_SECONDS = 3
AHEAD = ("tests.skewed_worker", "3600")
BEHIND = ("tests.skewed_worker", "-3600")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lease_seconds", [LEASE_SECONDS])
def test_clocks_that_disagree_neither_steal_a_job_nor_keep_it(installation: Installation) -> None:
    job = installation.submit("brief-a")
    with installation.worker(*AHEAD), installation.worker(*BEHIND):
        await_that(lambda: installation.job(job).step > 0)
        held = installation.job(job)
        holder = int(str(held.owner).split(":")[1])
        time.sleep(1)
        assert (installation.job(job).claims, installation.job(job).fence) == (1, held.fence)

        stop_until(lambda: installation.job(job).claims == 2, process_id=holder)
        done = installation.await_end(job)

    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    with installation.registry.read() as work:
        found = versions.page(work, project_id=PROJECT, model="support").data
    assert [(version.number, version.fence) for version in found] == [(1, done.fence), (0, None)]


def stop_until(happened: Callable[[], bool], *, process_id: int) -> None:
    """Stop a process until something has happened; it goes on afterwards.

    Who is stopped in the middle of a transaction of SQLite's holds up everybody else: then it is stopped once more.
    """
    for _ in range(5):
        os.kill(process_id, signal.SIGSTOP)
        deadline = time.monotonic() + 3 * LEASE_SECONDS
        done = False
        while not done and time.monotonic() < deadline:
            with suppress(UnavailableError):
                done = happened()
            time.sleep(0.1)
        os.kill(process_id, signal.SIGCONT)
        if done:
            return
        time.sleep(0.2)
    pytest.fail("it did not happen, however often the process was stopped")
