"""Jobs, as the workers see them that hold them, or held them once."""

import time

import pytest
from stage import (
    PROJECT,
    artefact_of,
    claimed,
    expire,
    fence_of,
    learn,
    look,
    manifest_of,
    publish,
    submit,
)

from core.domain.errors import ConflictError, IllegalMoveError, LostLeaseError
from core.domain.job_folder import CheckpointEvent
from core.domain.jobs import JobState
from core.domain.records import Job
from core.registry import jobs as job_rows
from core.registry.work import Registry
from core.services import jobs, promotions, versions

pytestmark = pytest.mark.usefixtures("desk")


def test_the_database_itself_refuses_a_second_running_job(registry: Registry) -> None:
    submit(registry, "a")
    _, second = submit(registry, "b")
    claimed(registry)
    running = {"owner": "x", "fence": 9, "lease_ms": 1}
    with pytest.raises(ConflictError), registry.write() as work:
        job_rows.move(work, second, to=JobState.RUNNING, actor="x", changes=running)


def test_a_released_job_keeps_its_place(registry: Registry) -> None:
    _, first = submit(registry, "a")
    submit(registry, "b")
    held = claimed(registry)
    with registry.write() as work:
        freed = jobs.release(work, job_id=held.id, fence=fence_of(held))
    assert (freed.state, freed.barren, freed.owner) == (JobState.QUEUED, 0, None)
    again = claimed(registry)
    assert (again.id, again.fence, again.claims) == (first.id, 2, 2)


def test_a_beat_renews_the_lease_and_tells_of_a_wish_to_cancel(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry, lease_seconds=1)
    with registry.write() as work:
        answer = jobs.beat(work, job_id=held.id, fence=fence_of(held), lease_seconds=1000)
        assert not answer.cancel_requested
        jobs.cancel(work, project_id=PROJECT, job_id=held.id)
        assert jobs.beat(work, job_id=held.id, fence=fence_of(held), lease_seconds=1000).cancel_requested
    lease_ms, before_ms = look(registry, held).lease_ms, held.lease_ms
    assert lease_ms is not None
    assert before_ms is not None
    assert lease_ms > before_ms + 900_000


def test_a_swept_job_runs_again_under_a_new_fence(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        assert jobs.sweep(work, barren_limit=3) == ()
    expire(registry, held)
    with registry.write() as work:
        (swept,) = jobs.sweep(work, barren_limit=3)
        assert (swept.state, swept.barren) == (JobState.QUEUED, 1)
    again = claimed(registry, "worker-2")
    assert (again.id, again.fence) == (held.id, fence_of(held) + 1)


STALE_CALLS = {
    "beat": lambda work, key: jobs.beat(work, **key, lease_seconds=1),
    "record": lambda work, key: jobs.record(work, **key, events=[CheckpointEvent(step=1)]),
    "fail": lambda work, key: jobs.fail(work, **key, code="crash", detail=""),
    "confirm_cancelled": lambda work, key: jobs.confirm_cancelled(work, **key),
    "release": lambda work, key: jobs.release(work, **key),
}


def lose(registry: Registry, stale: Job) -> Job:
    """Let another worker claim the job; return it as that worker holds it."""
    expire(registry, stale)
    with registry.write() as work:
        jobs.sweep(work, barren_limit=3)
    return claimed(registry, "worker-2")


@pytest.mark.parametrize("verb", STALE_CALLS)
def test_a_stale_holder_writes_nothing(registry: Registry, verb: str) -> None:
    submit(registry, "a")
    stale = claimed(registry)
    now = lose(registry, stale)
    with pytest.raises(LostLeaseError), registry.write() as work:
        STALE_CALLS[verb](work, {"job_id": stale.id, "fence": stale.fence})
    assert look(registry, stale) == now


def test_a_stale_holder_publishes_nothing(registry: Registry) -> None:
    submit(registry, "a")
    stale = claimed(registry)
    with registry.read() as work:
        manifest, key = manifest_of(work, stale), artefact_of(stale)
    now = lose(registry, stale)
    with pytest.raises(LostLeaseError), registry.write() as work:
        versions.publish(work, job_id=stale.id, fence=fence_of(stale), manifest=manifest, scores=[], artefact=key)
    assert look(registry, stale) == now
    with registry.read() as work:
        assert [version.number for version in versions.page(work, project_id=PROJECT, model="desk").data] == [0]
    with registry.write() as work:
        assert publish(work, now).number == 1


def test_a_job_that_kills_its_workers_is_poison(registry: Registry) -> None:
    _, job = submit(registry, "a")
    _, next_job = submit(registry, "b")
    for _ in range(3):
        held = claimed(registry)
        expire(registry, held)
        with registry.write() as work:
            jobs.sweep(work, barren_limit=3)
    over = look(registry, job)
    assert (over.state, over.error_code, over.claims) == (JobState.FAILED, "poison_job", 3)
    assert claimed(registry).id == next_job.id


def test_a_checkpoint_forgives_the_deaths_before_it(registry: Registry) -> None:
    _, job = submit(registry, "a")
    for _ in range(2):
        held = claimed(registry)
        expire(registry, held)
        with registry.write() as work:
            jobs.sweep(work, barren_limit=3)
    held = claimed(registry)
    with registry.write() as work:
        jobs.record(work, job_id=held.id, fence=fence_of(held), events=[CheckpointEvent(step=10)])
    assert look(registry, job).barren == 0


def broke_off(registry: Registry, held: Job, *, reason: str = "stalled") -> Job:
    with registry.write() as work:
        return jobs.give_up(work, job_id=held.id, fence=fence_of(held), barren_limit=3, reason=reason)


def test_an_attempt_that_broke_off_is_tried_again_and_counts_as_barren(registry: Registry) -> None:
    _, job = submit(registry, "a")
    assert broke_off(registry, claimed(registry)).state is JobState.QUEUED
    assert look(registry, job).barren == 1
    broke_off(registry, claimed(registry), reason="interrupted")
    over = broke_off(registry, claimed(registry))
    assert (over.state, over.error_code, over.claims) == (JobState.FAILED, "poison_job", 3)
    assert over.error_detail == "3 attempts in a row broke off before a new checkpoint; the last one: stalled"


def test_an_attempt_that_broke_off_gives_way_to_its_users_wishes(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=held.id)
    assert broke_off(registry, held).state is JobState.PAUSED


def test_a_job_that_writes_the_same_checkpoint_again_and_again_is_poison_too(registry: Registry) -> None:
    _, job = submit(registry, "a")
    for _ in range(3):
        assert look(registry, job).state is JobState.QUEUED
        held = claimed(registry)
        with registry.write() as work:
            jobs.record(work, job_id=held.id, fence=fence_of(held), events=[CheckpointEvent(step=10)])
        broke_off(registry, held)
    over = look(registry, job)
    assert (over.state, over.error_code, over.claims) == (JobState.FAILED, "poison_job", 3)


def test_a_job_that_must_begin_anew_from_another_version_may_reach_the_same_step_again(registry: Registry) -> None:
    learn(registry, "first")
    _, job = submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.record(work, job_id=held.id, fence=fence_of(held), events=[CheckpointEvent(step=10)])
        back = promotions.Promotion(version=None, reason="a bad day")
        promotions.rollback(work, project_id=PROJECT, model="desk", promotion=back)
    broke_off(registry, held)
    again = claimed(registry)
    with registry.write() as work:
        jobs.record(work, job_id=again.id, fence=fence_of(again), events=[CheckpointEvent(step=5)])
    assert (look(registry, job).barren, look(registry, job).checkpoint_step) == (0, 5)


def test_a_worker_that_dies_before_its_first_beat_loses_its_job_like_any_other(registry: Registry) -> None:
    _, job = submit(registry, "a")
    claimed(registry, lease_seconds=0.2)
    time.sleep(0.25)
    with registry.write() as work:
        (swept,) = jobs.sweep(work, barren_limit=3)
    assert (swept.id, swept.state) == (job.id, JobState.QUEUED)


def test_the_sweep_cancels_what_was_to_be_cancelled(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=held.id)
    expire(registry, held)
    with registry.write() as work:
        (swept,) = jobs.sweep(work, barren_limit=3)
    assert swept.state is JobState.CANCELLED


def test_cancel_wins_over_a_later_publication(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=held.id)
    with pytest.raises(ConflictError) as refused, registry.write() as work:
        publish(work, held)
    assert refused.value.code == "cancel_requested"
    with registry.write() as work:
        assert jobs.confirm_cancelled(work, job_id=held.id, fence=fence_of(held)).state is JobState.CANCELLED
    with registry.read() as work:
        assert versions.page(work, project_id=PROJECT, model="desk").data[0].number == 0


def test_publication_wins_over_a_later_cancel(registry: Registry) -> None:
    learn(registry, "a")
    with registry.read() as work:
        (job,) = jobs.page(work, project_id=PROJECT, model="desk").data
    with pytest.raises(IllegalMoveError) as refused, registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    assert refused.value.code == "wrong_state"


def test_a_job_that_expected_another_parent_fails_and_the_next_one_runs(registry: Registry) -> None:
    with registry.read() as work:
        zero = versions.resolve(work, project_id=PROJECT, reference="desk").id
    submit(registry, "a")
    _, pinned = submit(registry, "b", expected_parent=zero)
    _, free = submit(registry, "c")
    first = claimed(registry)
    with registry.write() as work:
        publish(work, first)
    assert claimed(registry).id == free.id
    over = look(registry, pinned)
    assert (over.state, over.error_code) == (JobState.FAILED, "parent_conflict")
