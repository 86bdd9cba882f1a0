import pytest
from stage import (
    FACTS,
    PROJECT,
    Wakes,
    claim,
    claimed,
    fence_of,
    learn,
    look,
    new_model,
    publish,
    ready_base,
    submit,
)

from core.domain.errors import ConflictError, IllegalMoveError, MissingError
from core.domain.jobs import JobKind, JobState, Phase
from core.domain.records import BaseModelState, Job
from core.learning.recipe import TaskSpec
from core.registry import jobs as job_rows
from core.registry.work import Registry
from core.services import base_models, datasets, jobs, models, projects, tasks

pytestmark = pytest.mark.usefixtures("desk")


def state_moves(registry: Registry, job: Job) -> list[str | None]:
    with registry.read() as work:
        found = jobs.events(work, project_id=PROJECT, job_id=job.id)
    return [event.to_state for event in found.data if event.kind == "state"]


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


def test_a_queued_job_is_cancelled_at_once_and_twice_is_the_same(registry: Registry) -> None:
    _, job = submit(registry, "a")
    with registry.write() as work:
        once = jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        assert once.state is JobState.CANCELLED
        assert jobs.cancel(work, project_id=PROJECT, job_id=job.id) == once
    assert state_moves(registry, job) == ["queued", "cancelled"]


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
        jobs.fail(work, job_id=held.id, fence=fence_of(held), code="loss_diverged", detail="the loss is not a number")
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
        "loss_diverged",
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


def test_events_are_paged_by_number(registry: Registry) -> None:
    _, job = submit(registry, "a")
    claimed(registry)
    with registry.read() as work:
        first = jobs.events(work, project_id=PROJECT, job_id=job.id, limit=1)
        assert ([event.n for event in first.data], first.has_more) == ([1], True)
        rest = jobs.events(work, project_id=PROJECT, job_id=job.id, after=1)
        assert ([event.n for event in rest.data], rest.has_more) == ([2], False)


def positions(registry: Registry, *posted: Job) -> list[int | None]:
    with registry.read() as work:
        return [jobs.queue_position(work, project_id=job.project_id, job_id=job.id) for job in posted]


def test_the_queue_position_counts_who_is_ahead(registry: Registry) -> None:
    posted = [submit(registry, name)[1] for name in "abc"]
    new_model(registry, "other")
    elsewhere = submit(registry, "d", model="other")[1]
    assert positions(registry, *posted, elsewhere) == [1, 2, 3, 4]
    claimed(registry)
    assert positions(registry, *posted, elsewhere) == [None, 1, 2, 3]


def test_who_stands_behind_a_paused_job_lets_everybody_else_pass(registry: Registry) -> None:
    first, held, behind = [submit(registry, name)[1] for name in "abc"]
    new_model(registry, "other")
    elsewhere = submit(registry, "d", model="other")[1]
    with registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=held.id)
    assert positions(registry, first, held, behind, elsewhere) == [1, None, 3, 2]


def test_the_places_of_many_jobs_are_those_of_each(registry: Registry) -> None:
    new_model(registry, "other")
    posted = [submit(registry, f"task-{n}", model=("desk", "other")[n % 3 == 0])[1] for n in range(8)]
    with registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=posted[2].id)
    now = [look(registry, job) for job in posted]

    with registry.read() as work:
        at_once = jobs.queue_positions(work, now)

    assert [at_once.get(job.id) for job in posted] == positions(registry, *posted) == [1, 2, None, 3, 5, 6, 4, 8]


def test_a_resumed_job_stands_where_it_stood(registry: Registry) -> None:
    first, second = [submit(registry, name)[1] for name in "ab"]
    with registry.write() as work:
        jobs.pause(work, project_id=PROJECT, job_id=first.id)
        jobs.resume(work, project_id=PROJECT, job_id=first.id, dispatcher=Wakes())
    assert positions(registry, first, second) == [1, 2]


def test_the_queue_position_tells_nothing_of_other_projects(registry: Registry) -> None:
    """Base models are the installation's: their inspections stand in the default project's queue."""
    with registry.write() as work:
        other = projects.ensure_named(work, name="other").id
        base_models.add(work, name="more", source="folder:/models/more", dispatcher=Wakes())
        (inspection,) = jobs.page(work, project_id=PROJECT, state=JobState.QUEUED).data
        models.create(work, project_id=other, name="theirs", base_model="tiny")
        dataset = datasets.register(
            work,
            project_id=other,
            sha256="d" * 64,
            size_bytes=1,
            format="prompt_completion",
            n_rows=10,
            report={},
        )
        posted = tasks.TaskSubmission(model="theirs", name="a", dataset_id=dataset.id, spec=TaskSpec())
        theirs = tasks.submit(work, project_id=other, submission=posted, dispatcher=Wakes()).job
    ours = submit(registry, "a")[1]
    assert positions(registry, inspection, theirs, ours) == [1, 1, 2]


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
