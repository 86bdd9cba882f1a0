"""`rebuild` jobs through a worker: staged, supervised, published, killed, moved to another installation."""

import os
import signal
from pathlib import Path

import pytest
from history import assert_legal
from installation import Installation, await_that
from moved_models import import_folder, run, shown

from core.domain.jobs import JobState, Phase
from core.domain.records import Job, Version
from core.domain.trainer_spec import RebuildSpec, TrainerSpec
from core.services import jobs, rebuild_accounts, rebuilds, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.rebuilds import RebuildRequest

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(installation: Installation, *leave_out: str, model: str = "support") -> Job:
    with installation.registry.write() as work:
        request = RebuildRequest(model=model, leave_out=leave_out)
        return rebuilds.submit(work, project_id=PROJECT, request=request, dispatcher=installation.dispatcher)


def latest(installation: Installation, model: str = "support") -> Version:
    with installation.registry.read() as work:
        assert_legal(work)
        return versions.resolve(work, project_id=PROJECT, reference=model)


@pytest.fixture
def learned(installation: Installation) -> Installation:
    for task in ("ok-first", "brief-second", "ok-third"):
        installation.submit(task)
    installation.work_off()
    return installation


def test_a_worker_builds_what_was_asked_and_the_next_task_stands_on_it(learned: Installation) -> None:
    job = ask(learned, "ok-first")
    after = learned.submit("ok-after")
    learned.work_off()

    done = learned.job(job)
    assert (done.state, done.error_detail) == (JobState.SUCCEEDED, None)
    spec = RebuildSpec.model_validate_json((learned.folder(job) / "spec.json").read_text())
    assert [task.name for task in spec.tasks] == ["ok-first", "brief-second", "ok-third"]
    assert (len(spec.links), len(spec.chain)) == (3, 2)
    head = latest(learned)
    assert head.job_id == after.id
    assert len(head.chain) == 4
    next_spec = TrainerSpec.model_validate_json((learned.folder(after) / "spec.json").read_text())
    assert [task.name for task in next_spec.tasks] == ["brief-second", "ok-third", "ok-after"]
    with learned.registry.read() as work:
        account = rebuild_accounts.of_job(work, done)
    assert account is not None
    assert [(line.task, line.left_out, line.after) for line in account.comparison] == [
        ("ok-first", True, 0.75),
        ("brief-second", False, 0.75),
        ("ok-third", False, 0.75),
    ]


@on_sqlite
def test_a_rebuild_whose_worker_is_killed_is_built_by_the_next_one(learned: Installation) -> None:
    job = ask(learned, "brief-second")
    with learned.worker() as first:
        await_that(lambda: learned.job(job).step > 0)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(30)
    with learned.registry.write() as work:
        held = jobs.get(work, project_id=PROJECT, job_id=job.id)
        assert held.state is JobState.RUNNING
        jobs.give_up(work, job_id=job.id, fence=held.fence or 0, barren_limit=3, reason="interrupted")
    learned.work_off()
    done = learned.job(job)
    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    assert latest(learned).id == done.result_version_id


@on_sqlite
def test_a_running_rebuild_is_cancelled_and_a_waiting_one_paused(learned: Installation) -> None:
    running, waiting = ask(learned, "brief-second"), ask(learned, "ok-first")
    with learned.registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=waiting.id)
    with learned.worker():
        await_that(lambda: learned.job(running).step > 0)
        with learned.registry.write() as work:
            jobs.cancel(work, project_id=PROJECT, job_id=running.id)
        assert learned.await_end(running).state is JobState.CANCELLED
    assert learned.job(waiting).state is JobState.PAUSED
    with learned.registry.write() as work:
        jobs.resume(work, project_id=PROJECT, job_id=waiting.id, dispatcher=learned.dispatcher)
    learned.work_off()
    assert (learned.job(waiting).state, learned.job(waiting).phase) == (JobState.SUCCEEDED, Phase.PUBLISHING)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_with_a_rebuilt_version_leaves_and_comes_back_whole(learned: Installation, tmp_path: Path) -> None:
    ask(learned, "brief-second")
    learned.submit("ok-after")
    learned.work_off()
    folder = tmp_path / "exported"
    told = run(learned.settings, "export", "support", str(folder))
    assert told.exit_code == 0, told.output

    assert import_folder(learned, folder, "guest").exit_code == 0

    assert shown(learned.registry, "guest") == shown(learned.registry, "support")
    again = ask(learned, "ok-third", model="guest")
    learned.work_off()
    assert learned.job(again).state is JobState.SUCCEEDED
    assert len(latest(learned, "guest").chain) == 4
