"""Attempts at `inspect` jobs."""

from fake_desk import FakeDesk
from one_attempt import run

from core.domain.jobs import JobKind
from worker.control.context import WorkerContext


def test_an_inspected_base_model_lies_under_its_digest(context: WorkerContext, desk: FakeDesk) -> None:
    desk.kind = JobKind.INSPECT

    run(context)

    assert desk.outcome == "recorded"
    assert desk.facts is not None
    assert desk.path == str(context.base_models_dir / "tiny" / desk.facts.digest[:16])
    assert [path.name for path in (context.base_models_dir / "tiny").iterdir()] == [desk.facts.digest[:16]]


def test_a_base_model_inspected_twice_is_kept_once(context: WorkerContext, desk: FakeDesk) -> None:
    desk.kind = JobKind.INSPECT
    desk.claimable = 2

    run(context)
    run(context)

    assert len(list((context.base_models_dir / "tiny").iterdir())) == 1


def test_a_base_model_that_cannot_be_read_fails_its_job(context: WorkerContext, desk: FakeDesk) -> None:
    desk.kind = JobKind.INSPECT
    desk.behaviour = "broken"

    run(context)

    assert (desk.outcome, desk.code) == ("failed", "invalid_spec")
