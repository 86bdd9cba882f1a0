import pytest
from sqlalchemy import update
from stage import (
    FACTS,
    LEASE_SECONDS,
    PROJECT,
    Wakes,
    artefact_of,
    claim,
    claimed,
    fence_of,
    learn,
    manifest_of,
    new_model,
    publish,
    ready_base,
    submit,
)

from core.domain.errors import ConflictError, IllegalMoveError, LostLeaseError, MissingError
from core.domain.job_folder import CheckpointEvent, PhaseEvent, ProgressEvent
from core.domain.jobs import JobKind, JobState, Phase
from core.domain.records import BaseModelState, Job, Model
from core.registry import jobs as job_rows
from core.registry.tables import JOB
from core.registry.work import Registry
from core.services import base_models, jobs, versions

pytestmark = pytest.mark.usefixtures("desk")


def look(registry: Registry, job: Job) -> Job:
    with registry.read() as work:
        return jobs.get(work, project_id=PROJECT, job_id=job.id)


def state_moves(registry: Registry, job: Job) -> list[str | None]:
    with registry.read() as work:
        found = jobs.events(work, project_id=PROJECT, job_id=job.id)
    return [event.to_state for event in found.data if event.kind == "state"]


def expire(registry: Registry, job: Job) -> None:
    """Let the job's lease end now."""
    with registry.write() as work:
        work.connection.execute(update(JOB).where(JOB.c.id == job.id).values(lease_ms=work.now_ms() - 1))


def test_a_job_lives_from_queued_to_succeeded(registry: Registry) -> None:
    _, job = submit(registry, "first")
    assert (job.state, job.kind, job.seq) == (JobState.QUEUED, JobKind.TRAIN, 1)
    held = claimed(registry)
    assert (held.id, held.state, held.phase, held.fence, held.claims) == (
        job.id,
        JobState.RUNNING,
        Phase.PREPARING,
        1,
        1,
    )
    with registry.write() as work:
        version = publish(work, held)
    over = look(registry, job)
    assert (over.state, over.result_version_id, over.owner) == (JobState.SUCCEEDED, version.id, None)
    assert over.finished_ms is not None
    assert state_moves(registry, job) == ["queued", "running", "succeeded"]


def test_the_jobs_of_a_model_run_first_in_first_out_and_one_at_a_time(registry: Registry) -> None:
    _, first = submit(registry, "first")
    _, second = submit(registry, "second")
    assert claimed(registry).id == first.id
    with registry.write() as work:
        assert jobs.claim(work, owner="idle", lease_seconds=1) is None
        publish(work, look(registry, first))
    held = claimed(registry)
    assert (held.id, held.fence) == (second.id, 2)


def test_models_do_not_wait_for_each_other(registry: Registry) -> None:
    new_model(registry, "other")
    submit(registry, "a")
    submit(registry, "b")
    _, elsewhere = submit(registry, "c", model="other")
    claimed(registry)
    assert claimed(registry).id == elsewhere.id


def test_the_database_itself_refuses_a_second_active_job(registry: Registry) -> None:
    submit(registry, "a")
    _, second = submit(registry, "b")
    claimed(registry)
    running = {"owner": "x", "fence": 9, "lease_ms": 1}
    with pytest.raises(ConflictError), registry.write() as work:
        job_rows.move(work, second, to=JobState.RUNNING, actor="x", changes=running)
    with pytest.raises(ConflictError), registry.write() as work:
        job_rows.move(work, second, to=JobState.PAUSED, actor="x")


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


def test_the_sweep_cancels_what_was_to_be_cancelled(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=held.id)
    expire(registry, held)
    with registry.write() as work:
        (swept,) = jobs.sweep(work, barren_limit=3)
    assert swept.state is JobState.CANCELLED


def test_a_queued_job_is_cancelled_at_once_and_twice_is_the_same(registry: Registry) -> None:
    _, job = submit(registry, "a")
    with registry.write() as work:
        once = jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        assert once.state is JobState.CANCELLED
        assert jobs.cancel(work, project_id=PROJECT, job_id=job.id) == once
    assert state_moves(registry, job) == ["queued", "cancelled"]


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


def test_nothing_leaves_a_terminal_state(registry: Registry) -> None:
    _, job = submit(registry, "a")
    with registry.write() as work:
        over = jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    for state in JobState:
        with pytest.raises(IllegalMoveError), registry.write() as work:
            job_rows.move(work, over, to=state, actor="x")


def test_a_move_from_an_outdated_row_is_refused(registry: Registry) -> None:
    _, job = submit(registry, "a")
    with registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    with pytest.raises(ConflictError), registry.write() as work:
        job_rows.move(work, job, to=JobState.FAILED, actor="x")


def test_a_failed_job_is_retried_as_a_new_one_at_the_end_of_the_line(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.fail(work, job_id=held.id, fence=fence_of(held), code="diverged", detail="the loss is not a number")
    _, behind = submit(registry, "b")
    wakes = Wakes()
    with registry.write() as work:
        again = jobs.retry(work, project_id=PROJECT, job_id=held.id, dispatcher=wakes)
    assert (again.retry_of, again.task_id, again.params) == (held.id, held.task_id, held.params)
    assert again.seq > behind.seq
    assert wakes.job_ids == [again.id]
    failed = look(registry, held)
    assert (failed.state, failed.error_code, failed.error_detail) == (
        JobState.FAILED,
        "diverged",
        "the loss is not a number",
    )
    with pytest.raises(ConflictError), registry.write() as work:
        jobs.retry(work, project_id=PROJECT, job_id=held.id, dispatcher=wakes)


def test_what_succeeded_or_is_open_is_not_retried(registry: Registry) -> None:
    _, job = submit(registry, "a")
    for _ in range(2):
        with pytest.raises(IllegalMoveError), registry.write() as work:
            jobs.retry(work, project_id=PROJECT, job_id=job.id, dispatcher=Wakes())
        if look(registry, job).state is JobState.QUEUED:
            held = claimed(registry)
            with registry.write() as work:
                publish(work, held)


def test_a_failed_job_takes_no_version_number(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.fail(work, job_id=held.id, fence=fence_of(held), code="crash", detail="")
    assert learn(registry, "b").number == 1


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


def test_the_trainers_events_become_progress_curves_and_events(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)
    reported = [
        PhaseEvent(phase=Phase.TRAINING),
        *(ProgressEvent(step=n, total_steps=50, eta_seconds=9.0, values={"loss": 1 / n}) for n in range(1, 41)),
        CheckpointEvent(step=40),
        ProgressEvent(step=40, total_steps=50, values={"loss": 0.5, "sparsity": 0.9}),
    ]
    with registry.write() as work:
        jobs.record(work, job_id=held.id, fence=fence_of(held), events=reported)
        jobs.record(work, job_id=held.id, fence=fence_of(held), events=[PhaseEvent(phase=Phase.TRAINING)])
    now = look(registry, job)
    assert (now.phase, now.step, now.total_steps, now.eta_seconds) == (Phase.TRAINING, 40, 50, None)
    with registry.read() as work:
        kinds = [event.kind for event in jobs.events(work, project_id=PROJECT, job_id=job.id).data]
        assert kinds == ["state", "state", "phase", "checkpoint", "progress"]
        loss = jobs.metrics(work, project_id=PROJECT, job_id=job.id, series=("loss",))
        assert [point.step for point in loss] == list(range(1, 41))
        assert loss[-1].value == 0.5
        thin = jobs.metrics(work, project_id=PROJECT, job_id=job.id, max_points=5)
        assert [point.step for point in thin if point.series == "loss"] == [1, 11, 21, 30, 40]
        assert [point.series for point in thin][-1] == "sparsity"


def test_events_are_paged_by_number(registry: Registry) -> None:
    _, job = submit(registry, "a")
    claimed(registry)
    with registry.read() as work:
        first = jobs.events(work, project_id=PROJECT, job_id=job.id, limit=1)
        assert ([event.n for event in first.data], first.has_more) == ([1], True)
        rest = jobs.events(work, project_id=PROJECT, job_id=job.id, after=1)
        assert ([event.n for event in rest.data], rest.has_more) == ([2], False)


def test_the_queue_position_counts_who_is_ahead(registry: Registry) -> None:
    posted = [submit(registry, name)[1] for name in "abc"]
    claimed(registry)
    with registry.read() as work:
        positions = [jobs.queue_position(work, project_id=PROJECT, job_id=job.id) for job in posted]
    assert positions == [None, 1, 2]


def test_jobs_are_listed_by_cursor_model_and_state(registry: Registry) -> None:
    posted = [submit(registry, name)[1].id for name in "abc"]
    with registry.read() as work:
        newest = jobs.page(work, project_id=PROJECT, model="desk", limit=2)
        assert ([job.id for job in newest.data], newest.has_more) == ([posted[2], posted[1]], True)
        rest = jobs.page(work, project_id=PROJECT, model="desk", limit=2, after=posted[1])
        assert ([job.id for job in rest.data], rest.has_more) == ([posted[0]], False)
        oldest = jobs.page(work, project_id=PROJECT, model="desk", limit=2, after=posted[0], order="asc")
        assert [job.id for job in oldest.data] == posted[1:]
        assert jobs.page(work, project_id=PROJECT, model="desk", state=JobState.RUNNING).data == ()


def test_another_projects_job_does_not_exist(registry: Registry) -> None:
    _, job = submit(registry, "a")
    with pytest.raises(MissingError), registry.read() as work:
        jobs.get(work, project_id="prj_other", job_id=job.id)


def test_an_inspection_makes_its_base_model_ready(registry: Registry) -> None:
    base = ready_base(registry, "second")
    assert (base.state, base.digest, base.path) == (BaseModelState.READY, FACTS.digest, "/base/tiny")
    with registry.read() as work:
        (job,) = [each for each in jobs.page(work, project_id=PROJECT).data if each.base_model_id == base.id]
    assert (job.state, job.kind) == (JobState.SUCCEEDED, JobKind.INSPECT)


def test_a_failed_inspection_fails_its_base_model_and_may_be_repeated(registry: Registry) -> None:
    with registry.write() as work:
        base_models.add(work, name="broken", source="wheel:broken", dispatcher=Wakes())
    held = claimed(registry)
    assert held.fence == 1
    with registry.write() as work:
        jobs.fail(work, job_id=held.id, fence=1, code="invalid_spec", detail="there is no such wheel")
        broken = base_models.get(work, name="broken")
        assert (broken.state, broken.error) == (BaseModelState.FAILED, "there is no such wheel")
        jobs.retry(work, project_id=PROJECT, job_id=held.id, dispatcher=Wakes())
        assert base_models.get(work, name="broken").state is BaseModelState.PENDING
        again = claim(work)
        base_models.record_facts(work, job=again, fence=fence_of(again), facts=FACTS, path="/base/broken")
        assert base_models.get(work, name="broken").state is BaseModelState.READY


def test_a_deadline_is_set_where_the_spec_has_a_timeout(registry: Registry, desk: Model) -> None:
    submit(registry, "a", spec={"timeout_seconds": 100})
    held = claimed(registry)
    assert held.model_id == desk.id
    assert held.deadline_ms is not None
    assert held.lease_ms is not None
    assert held.deadline_ms - held.lease_ms == 1000 * (100 - LEASE_SECONDS)


def test_the_last_words_of_a_trainer_never_keep_its_job_from_ending(registry: Registry) -> None:
    submit(registry, "a")
    held = claimed(registry)
    with registry.write() as work:
        jobs.fail(work, job_id=held.id, fence=fence_of(held), code="crash", detail="\0 \ud800 " + "x" * 10_000)
    detail = look(registry, held).error_detail
    assert detail is not None
    assert detail.startswith("? ? xxx")
    assert len(detail) == 4_000
