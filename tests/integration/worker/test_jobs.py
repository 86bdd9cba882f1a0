"""The worker's one function over the real services, on every database: what becomes of a job."""

import pytest
from installation import Install, Installation, never, nothing

from core.domain.jobs import JobState
from core.domain.manifest import Manifest
from core.domain.records import BaseModelState, Job
from core.domain.trainer_spec import TrainerSpec
from core.learning.recipe import TaskSpec
from core.services import base_models, claims, jobs, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from worker.control import assembly
from worker.control.loop import run_next


def versions_of(installation: Installation) -> list[tuple[int, str]]:
    with installation.registry.read() as work:
        page = versions.page(work, project_id=PROJECT, model="support", order="asc")
    return [(version.number, version.state.value) for version in page.data]


def test_an_inspected_base_model_is_ready(installation: Installation) -> None:
    with installation.registry.read() as work:
        base = base_models.get(work, name="tiny-ok")

    assert base.state is BaseModelState.READY
    assert base.path == str(installation.settings.base_models_dir / "tiny-ok" / str(base.digest)[:16])


def test_a_base_model_that_cannot_be_read_is_failed(install: Install) -> None:
    installation = install()
    installation.add_base_model("folder:/models/broken")

    installation.work_off()

    with installation.registry.read() as work:
        assert base_models.get(work, name="tiny-broken").state is BaseModelState.FAILED


def test_a_task_becomes_a_version_that_latest_names(installation: Installation) -> None:
    job = installation.submit("ok-first")

    installation.work_off()

    done = installation.job(job)
    assert done.state is JobState.SUCCEEDED
    with installation.registry.read() as work:
        latest = versions.resolve(work, project_id=PROJECT, reference="support")
    assert latest.id == done.result_version_id
    assert latest.number == 1
    stored = LocalArtefactStore(installation.settings.artefacts_dir).path(str(latest.artefact))
    body = manifests.verify(stored, sha256=str(latest.manifest_sha256))
    assert Manifest.model_validate(body).provenance.job_id == job.id


def test_the_next_task_starts_from_the_chain_of_the_first(installation: Installation) -> None:
    first = installation.submit("ok-first")
    second = installation.submit("ok-second")

    installation.work_off()

    spec = TrainerSpec.model_validate_json((installation.folder(second) / "spec.json").read_text())
    assert [link.version_id for link in spec.chain] == [installation.job(first).result_version_id]
    assert [task.name for task in spec.tasks] == ["ok-first", "ok-second"]
    assert versions_of(installation) == [(0, "ready"), (1, "ready"), (2, "ready")]


def test_progress_and_curves_reach_the_registry(installation: Installation) -> None:
    job = installation.submit("ok-first")

    installation.work_off()

    done = installation.job(job)
    assert (done.step, done.total_steps) == (3, 3)
    with installation.registry.read() as work:
        points = jobs.metrics(work, project_id=PROJECT, job_id=job.id, series=("loss",))
    assert [point.step for point in points] == [1, 2, 3]


@pytest.mark.parametrize(
    ("task", "code"),
    [("diverge-a", "loss_diverged"), ("crash-a", "crashed"), ("corrupt-a", "corrupt_artefact")],
)
def test_a_failed_task_leaves_its_code_and_no_version(installation: Installation, task: str, code: str) -> None:
    job = installation.submit(task)

    installation.work_off()

    done = installation.job(job)
    assert (done.state, done.error_code) == (JobState.FAILED, code)
    assert done.error_detail
    assert versions_of(installation) == [(0, "ready")]


def test_the_task_after_a_failed_one_starts_from_the_last_good_version(installation: Installation) -> None:
    installation.submit("ok-first")
    installation.submit("crash-second")
    third = installation.submit("ok-third")

    installation.work_off()

    assert installation.job(third).state is JobState.SUCCEEDED
    assert versions_of(installation)[-1] == (2, "ready")


def test_a_trainer_that_is_killed_once_succeeds_when_tried_again(installation: Installation) -> None:
    job = installation.submit("unlucky-a")

    installation.work_off()

    done = installation.job(job)
    assert done.state is JobState.SUCCEEDED
    assert done.claims == 2


def test_the_second_attempt_finds_the_checkpoint_of_the_first(installation: Installation) -> None:
    job = installation.submit("resumes-a")

    installation.work_off()

    assert installation.job(job).state is JobState.SUCCEEDED
    assert not list((installation.settings.jobs_dir / job.id).rglob("step-2"))


def test_a_trainer_that_is_always_killed_is_given_up(installation: Installation) -> None:
    poison = installation.submit("killed-a")
    after = installation.submit("ok-b")

    installation.work_off()

    done = installation.job(poison)
    assert (done.state, done.error_code) == (JobState.FAILED, "poison_job")
    assert done.claims == installation.settings.barren_limit
    assert installation.job(after).state is JobState.SUCCEEDED


def test_a_trainer_that_always_hangs_is_given_up_and_the_others_go_on(installation: Installation) -> None:
    poison = installation.submit("silent-a")
    after = installation.submit("ok-b")
    settings = installation.settings.model_copy(update={"stall_seconds": 1.0})

    Installation(settings, installation.registry, installation.dispatcher).work_off()

    done = installation.job(poison)
    assert (done.state, done.error_code) == (JobState.FAILED, "poison_job")
    assert "stalled" in str(done.error_detail)
    assert done.claims == settings.barren_limit
    assert installation.job(after).state is JobState.SUCCEEDED


def test_a_job_past_its_time_limit_times_out(installation: Installation) -> None:
    job = installation.submit("slow-a", spec=TaskSpec(timeout_seconds=1))

    installation.work_off()

    assert installation.job(job).error_code == "timed_out"


def test_a_job_cancelled_while_it_runs_leaves_no_version(installation: Installation) -> None:
    job = installation.submit("slow-a")

    def cancel_once_it_runs() -> None:
        if installation.job(job).step > 0:
            with installation.registry.write() as work:
                jobs.cancel(work, project_id=PROJECT, job_id=job.id)

    with assembly.open_context(installation.settings) as context:
        run_next(context, stop_requested=never, chores=cancel_once_it_runs)

    assert installation.job(job).state is JobState.CANCELLED
    assert versions_of(installation) == [(0, "ready")]


def test_a_paused_job_goes_on_from_its_checkpoint_when_resumed(installation: Installation) -> None:
    job = installation.submit("pausable-a")
    behind = installation.submit("ok-b")

    def pause_once_it_runs() -> None:
        if installation.job(job).step > 0:
            with installation.registry.write() as work:
                jobs.pause(work, project_id=PROJECT, job_id=job.id)

    with assembly.open_context(installation.settings) as context:
        run_next(context, stop_requested=never, chores=pause_once_it_runs)
        assert not run_next(context, stop_requested=never, chores=nothing)
    assert installation.job(job).state is JobState.PAUSED
    assert installation.job(behind).state is JobState.QUEUED

    with installation.registry.write() as work:
        jobs.resume(work, project_id=PROJECT, job_id=job.id, dispatcher=installation.dispatcher)
    installation.work_off()

    done = installation.job(job)
    assert (done.state, done.claims) == (JobState.SUCCEEDED, 2)
    assert installation.job(behind).state is JobState.SUCCEEDED


def test_a_worker_that_stops_puts_its_job_back(installation: Installation) -> None:
    job = installation.submit("slow-a")

    with assembly.open_context(installation.settings) as context:
        run_next(context, stop_requested=lambda: installation.job(job).step > 0, chores=nothing)

    assert installation.job(job).state is JobState.QUEUED


def test_a_worker_that_was_replaced_writes_nothing(installation: Installation) -> None:
    job = installation.submit("brief-a")
    as_taken: list[Job] = []

    def take_it_away() -> None:
        if not as_taken and installation.job(job).step > 0:
            with installation.registry.write() as work:
                claims.beat(work, job_id=job.id, fence=int(installation.job(job).fence or 0), lease_seconds=-1)
                claims.sweep(work, barren_limit=3)
            with installation.registry.write() as work:
                claims.claim(work, owner="other", lease_seconds=60)
            as_taken.append(installation.job(job))

    with assembly.open_context(installation.settings) as context:
        run_next(context, stop_requested=never, chores=take_it_away)

    held = installation.job(job)
    assert (held.state, held.owner) == (JobState.RUNNING, "other")
    assert versions_of(installation) == [(0, "ready")]
    assert [held] == as_taken
