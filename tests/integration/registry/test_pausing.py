import pytest
from stage import PROJECT, Wakes, claimed, expire, fence_of, learn, look, new_model, publish, submit

from core.domain.errors import ConflictError, IllegalMoveError
from core.domain.jobs import JobKind, JobState
from core.domain.records import Job
from core.registry.work import Registry
from core.services import base_models, jobs

pytestmark = pytest.mark.usefixtures("desk")


def pause(registry: Registry, job: Job) -> Job:
    with registry.write() as work:
        return jobs.pause(work, project_id=PROJECT, job_id=job.id)


def resume(registry: Registry, job: Job) -> Job:
    with registry.write() as work:
        return jobs.resume(work, project_id=PROJECT, job_id=job.id, dispatcher=Wakes())


def kinds_of_events(registry: Registry, job: Job) -> list[str]:
    with registry.read() as work:
        found = jobs.events(work, project_id=PROJECT, job_id=job.id)
    return [event.to_state or event.kind for event in found.data]


def test_a_queued_job_is_paused_at_once_and_twice_is_the_same(registry: Registry) -> None:
    _, job = submit(registry, "a")

    once = pause(registry, job)

    assert once.state is JobState.PAUSED
    assert pause(registry, job) == once


def test_a_paused_job_holds_its_model_but_no_other(registry: Registry) -> None:
    new_model(registry, "other")
    _, first = submit(registry, "a")
    submit(registry, "b")
    _, elsewhere = submit(registry, "c", model="other")
    pause(registry, first)

    assert claimed(registry).id == elsewhere.id
    with registry.write() as work:
        assert jobs.claim(work, owner="idle", lease_seconds=60) is None


def test_a_job_behind_a_running_one_is_paused_and_waited_for(registry: Registry) -> None:
    submit(registry, "a")
    _, second = submit(registry, "b")
    submit(registry, "c")
    held = claimed(registry)
    pause(registry, second)
    with registry.write() as work:
        publish(work, held)

    with registry.write() as work:
        assert jobs.claim(work, owner="idle", lease_seconds=60) is None
    resume(registry, second)

    assert claimed(registry).id == second.id


def test_a_resumed_job_is_the_first_of_its_model(registry: Registry) -> None:
    _, first = submit(registry, "a")
    submit(registry, "b")
    pause(registry, first)
    wakes = Wakes()
    with registry.write() as work:
        resumed = jobs.resume(work, project_id=PROJECT, job_id=first.id, dispatcher=wakes)

    assert (resumed.state, resumed.seq, wakes.job_ids) == (JobState.QUEUED, first.seq, [first.id])
    assert claimed(registry).id == first.id


def test_a_running_job_is_paused_by_its_holder(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)

    asked = pause(registry, job)

    assert (asked.state, asked.pause_requested) == (JobState.RUNNING, True)
    with registry.write() as work:
        key = {"job_id": held.id, "fence": fence_of(held)}
        assert jobs.beat(work, **key, lease_seconds=60).pause_requested
        paused = jobs.confirm_paused(work, **key)
    assert (paused.state, paused.pause_requested, paused.owner) == (JobState.PAUSED, False, None)
    assert kinds_of_events(registry, job) == ["queued", "running", "pause_requested", "paused"]


def test_resuming_before_the_holder_has_stopped_withdraws_the_wish(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)
    pause(registry, job)

    assert not resume(registry, job).pause_requested

    with registry.write() as work:
        let_go = jobs.confirm_paused(work, job_id=held.id, fence=fence_of(held))
    assert let_go.state is JobState.QUEUED
    assert kinds_of_events(registry, job)[-2:] == ["pause_withdrawn", "queued"]


def test_a_job_whose_worker_died_while_pausing_is_paused_by_the_sweep(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)
    pause(registry, job)
    expire(registry, held)

    with registry.write() as work:
        jobs.sweep(work, barren_limit=3)

    assert look(registry, job).state is JobState.PAUSED


def test_what_is_finished_before_it_could_pause_has_succeeded(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)
    pause(registry, job)
    with registry.write() as work:
        publish(work, held)

    over = look(registry, job)

    assert (over.state, over.pause_requested) == (JobState.SUCCEEDED, False)


def test_a_paused_job_can_be_cancelled(registry: Registry) -> None:
    _, job = submit(registry, "a")
    pause(registry, job)
    with registry.write() as work:
        assert jobs.cancel(work, project_id=PROJECT, job_id=job.id).state is JobState.CANCELLED
    with pytest.raises(IllegalMoveError):
        resume(registry, job)


def test_what_is_over_or_shall_end_is_not_paused(registry: Registry) -> None:
    version = learn(registry, "a")
    with registry.read() as work:
        over = jobs.get(work, project_id=PROJECT, job_id=str(version.job_id))
    with pytest.raises(IllegalMoveError):
        pause(registry, over)
    _, job = submit(registry, "b")
    claimed(registry)
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    with pytest.raises(ConflictError, match="cancelled"):
        pause(registry, job)


def test_an_inspection_is_not_paused(registry: Registry) -> None:
    with registry.write() as work:
        base_models.add(work, name="other", source="folder:/models/other", dispatcher=Wakes())
    with registry.read() as work:
        found = jobs.page(work, project_id=PROJECT, limit=1).data[0]
    assert found.kind is JobKind.INSPECT
    with pytest.raises(ConflictError, match="inspection"):
        pause(registry, found)
