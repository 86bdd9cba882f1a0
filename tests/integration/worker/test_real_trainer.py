"""The worker and the real trainer together, on a tiny model: a kill in the middle changes nothing in the end."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from installation import Install, Installation, await_that
from tiny_models import tiny_llama

from core.domain.jobs import JobState
from core.domain.records import Job, Version
from core.learning.recipe import TaskSpec
from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT

# Training is the same whatever the registry runs on. Each process loads torch, which takes long where many do.
pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.timeout(400),
]

PATIENCE_SECONDS = 150
SPEC = TaskSpec.model_validate({"training": {"max_steps": 12, "batch_size": 4}, "evaluation": {"max_rows": 4}})


@pytest.fixture
def learning(install: Install, tmp_path: Path) -> Installation:
    made = install(compute_command="")
    made.add_base_model(f"folder:{tiny_llama(tmp_path / 'ok')}")
    made.work_off()
    made.create_model("support")
    made.create_model("twin")
    return made


def test_a_run_that_was_killed_ends_in_the_same_weights_as_one_that_was_not(learning: Installation) -> None:
    learning.submit("first", model="twin", spec=SPEC)
    learning.work_off()
    job = learning.submit("first", model="support", spec=SPEC)

    with learning.worker():
        await_that(lambda: learning.job(job).step > 0, seconds=PATIENCE_SECONDS)
        os.kill(_trainer_of(learning, job), signal.SIGKILL)
        done = learning.await_end(job, seconds=PATIENCE_SECONDS)

    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    assert _latest(learning, "support").number == _latest(learning, "twin").number == 1
    assert _latest(learning, "support").digest == _latest(learning, "twin").digest


def _latest(installation: Installation, model: str) -> Version:
    with installation.registry.read() as work:
        return versions.resolve(work, project_id=PROJECT, reference=model)


def _trainer_of(installation: Installation, job: Job) -> int:
    """Find the process whose command names the job's folder."""
    folder = str(installation.folder(job))
    return next(each.pid for each in psutil.process_iter(["cmdline"]) if folder in (each.info["cmdline"] or ()))
