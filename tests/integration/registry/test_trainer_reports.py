"""What a job keeps of what its trainer says."""

import pytest
from stage import (
    LEASE_SECONDS,
    PROJECT,
    claimed,
    fence_of,
    look,
    submit,
)

from core.domain.job_folder import CheckpointEvent, PhaseEvent, ProgressEvent
from core.domain.jobs import Phase
from core.domain.records import Model
from core.registry.work import Registry
from core.services import jobs

pytestmark = pytest.mark.usefixtures("desk")


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


def test_a_last_step_that_is_repeated_as_a_sign_of_life_is_told_once(registry: Registry) -> None:
    _, job = submit(registry, "a")
    held = claimed(registry)
    for step in (49, 50, 50, 50):
        with registry.write() as work:
            event = ProgressEvent(step=step, total_steps=50)
            jobs.record(work, job_id=held.id, fence=fence_of(held), events=[event])
    with registry.read() as work:
        told = jobs.events(work, project_id=PROJECT, job_id=job.id).data
        assert [event.data["step"] for event in told if event.kind == "progress"] == [49, 50]


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
