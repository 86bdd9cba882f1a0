"""Workers whose wall clocks are an hour apart: leases are the database's business."""

import os
import signal
import time

import pytest
from installation import Installation, await_that

from core.domain.jobs import JobState
from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

AHEAD = ("tests.skewed_worker", "3600")
BEHIND = ("tests.skewed_worker", "-3600")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lease_seconds", [3])
def test_clocks_that_disagree_neither_steal_a_job_nor_keep_it(installation: Installation) -> None:
    job = installation.submit("brief-a")
    with installation.worker(*AHEAD), installation.worker(*BEHIND):
        await_that(lambda: installation.job(job).step > 0)
        held = installation.job(job)
        holder = int(str(held.owner).split(":")[1])
        time.sleep(1)
        assert (installation.job(job).claims, installation.job(job).fence) == (1, held.fence)

        os.kill(holder, signal.SIGSTOP)
        await_that(lambda: installation.job(job).claims == 2, seconds=15)
        os.kill(holder, signal.SIGCONT)
        done = installation.await_end(job)

    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    with installation.registry.read() as work:
        found = versions.page(work, project_id=PROJECT, model="support").data
    assert [(version.number, version.fence) for version in found] == [(1, done.fence), (0, None)]
