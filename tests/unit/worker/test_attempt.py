"""One attempt at a job, with a real child process: every way it can end."""

import dataclasses
import json
import threading
from pathlib import Path

import pytest
from fake_desk import FakeDesk
from one_attempt import await_that, folder_of, is_alive, run

from core.domain.job_folder import PhaseEvent, ProgressEvent
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from worker.control.context import WorkerContext


def test_nothing_queued_is_nothing_done(context: WorkerContext, desk: FakeDesk) -> None:
    desk.claimable = 0

    assert run(context) is False


def test_a_finished_task_is_stored_verified_and_then_published(
    context: WorkerContext, desk: FakeDesk, told: list[str], tmp_path: Path
) -> None:
    assert run(context) is True

    assert desk.outcome == "published"
    assert desk.artefact is not None
    assert desk.artefact.startswith("versions/prj_default/mdl_1/")
    stored = LocalArtefactStore(tmp_path / "artefacts").path(desk.artefact)
    assert manifests.verify(stored, sha256=desk.artefact.rsplit("/", 1)[1])
    assert {score.subject for score in desk.scores} == {"base", "result"}
    assert told == ["refresh"]


def test_what_the_trainer_reports_is_recorded(context: WorkerContext, desk: FakeDesk) -> None:
    run(context)

    assert [event.step for event in desk.events if isinstance(event, ProgressEvent)] == [1, 2, 3]
    assert [event.phase for event in desk.events if isinstance(event, PhaseEvent)] == [
        "training",
        "evaluating",
        "publishing",
    ]


def test_only_spec_events_and_log_stay_of_a_finished_job(context: WorkerContext) -> None:
    run(context)

    kept = {path.name for path in folder_of(context).iterdir()}
    assert kept == {"spec.json", "events.jsonl", "trainer.log", "environment.json", "trainer.pid"}


def test_training_rows_and_held_out_rows_share_none(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "slow"
    stop = threading.Event()
    worker = threading.Thread(target=lambda: run(context, stop=stop))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    data = folder_of(context) / "data"
    train = (data / "train.jsonl").read_text().splitlines()
    held_out = (data / "eval-task_1.jsonl").read_text().splitlines()
    stop.set()
    worker.join()

    assert len(train) + len(held_out) == 40
    assert held_out
    assert not set(train) & set(held_out)
    assert set(json.loads(train[0])) == {"prompt", "target"}


def test_the_trainer_sees_no_setting_of_the_service_and_one_gpu_at_most(context: WorkerContext, desk: FakeDesk) -> None:
    run(context)

    environment = json.loads((folder_of(context) / "environment.json").read_text())
    assert desk.outcome == "published"
    assert not [name for name in environment if name.startswith("STRATA_")]
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("behaviour", "code", "advice"),
    [
        ("diverge", "loss_diverged", "NaN at step 2; post the task again with a lower"),
        ("crash", "crashed", "log"),
        ("corrupt", "corrupt_artefact", "delta.safetensors"),
        ("empty", "corrupt_artefact", "manifest"),
    ],
)
def test_a_failed_trainer_fails_its_job_with_a_code_and_advice(
    context: WorkerContext, desk: FakeDesk, behaviour: str, code: str, advice: str
) -> None:
    desk.behaviour = behaviour

    run(context)

    assert (desk.outcome, desk.code) == ("failed", code)
    assert advice in str(desk.detail)


def test_the_crash_is_in_the_log(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "crash"

    run(context)

    assert "a fault in the trainer" in (folder_of(context) / "trainer.log").read_text()


def test_a_killed_trainer_is_tried_again(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "killed"

    run(context)

    assert desk.outcome == "given up"


def test_a_cancelled_trainer_is_stopped_politely(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "slow"
    desk.cancel_requested = True

    run(context)

    assert desk.outcome == "cancelled"


def test_a_trainer_that_ignores_a_polite_stop_is_killed_with_its_helpers(
    context: WorkerContext, desk: FakeDesk
) -> None:
    desk.behaviour = "hang"
    worker = threading.Thread(target=lambda: run(context))
    worker.start()
    helper = folder_of(context) / "helper.pid"
    await_that(lambda: helper.exists() and helper.read_text() != "")
    desk.cancel_requested = True
    worker.join()

    assert desk.outcome == "cancelled"
    # A signal is sent at once, and acted on when the machine finds the time.
    await_that(lambda: not is_alive(int(helper.read_text())), seconds=2)
    assert not is_alive(int((folder_of(context) / "trainer.pid").read_text()))


def test_cancelling_that_wins_over_publication_leaves_no_artefact(
    context: WorkerContext, desk: FakeDesk, told: list[str], tmp_path: Path
) -> None:
    desk.cancel_wins = True

    run(context)

    assert desk.outcome == "cancelled"
    assert not list((tmp_path / "artefacts" / "versions").rglob("manifest.json"))
    assert told == []


def test_a_job_past_its_deadline_times_out(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "slow"
    desk.seconds_left = 0.3

    run(context)

    assert (desk.outcome, desk.code) == ("failed", "timed_out")
    assert "timeout_seconds" in str(desk.detail)


def test_a_silent_trainer_is_stopped_and_its_job_tried_again(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "hang"
    quick = dataclasses.replace(context, timings=dataclasses.replace(context.timings, stall=1.0))

    run(quick)

    assert (desk.outcome, desk.reason) == ("given up", "stalled")
    assert not is_alive(int((folder_of(context) / "trainer.pid").read_text()))
    await_that(lambda: not is_alive(int((folder_of(context) / "helper.pid").read_text())), seconds=2)


def test_a_worker_that_must_stop_puts_its_job_back(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "slow"
    stop = threading.Event()
    stop.set()

    run(context, stop=stop)

    assert desk.outcome == "released"


def test_the_heart_beats_while_the_trainer_works(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "brief"

    run(context)

    assert desk.beats >= 5


def test_no_file_descriptor_is_left_open(context: WorkerContext, desk: FakeDesk) -> None:
    desk.claimable = 3
    run(context)
    before = len(list(Path("/proc/self/fd").iterdir()))

    run(context)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
