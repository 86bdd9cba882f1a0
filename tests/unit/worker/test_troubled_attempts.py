"""An attempt when the lease, the registry, the disk or the data fail."""

import dataclasses
import threading
import time
from pathlib import Path

from fake_desk import FakeDesk
from one_attempt import await_that, folder_of, is_alive, run

from core.domain.job_folder import ProgressEvent
from core.domain.jobs import JobKind
from worker.control.context import WorkerContext


def test_a_lost_lease_kills_the_trainer_and_nothing_is_written(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "free"
    worker = threading.Thread(target=lambda: run(context))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    desk.lost = True
    worker.join()

    assert desk.outcome is None
    assert not is_alive(int((folder_of(context) / "trainer.pid").read_text()))


def test_a_registry_that_is_away_for_longer_than_the_lease_stops_the_trainer(
    context: WorkerContext, desk: FakeDesk
) -> None:
    desk.behaviour = "slow"
    quick = dataclasses.replace(context, timings=dataclasses.replace(context.timings, lease=2))
    worker = threading.Thread(target=lambda: run(quick))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    desk.away = 10_000
    started = time.monotonic()
    worker.join()

    assert time.monotonic() - started < 4
    assert desk.outcome is None
    assert not is_alive(int((folder_of(context) / "trainer.pid").read_text()))


def test_a_registry_that_falls_silent_stops_the_trainer_too(context: WorkerContext, desk: FakeDesk) -> None:
    """Every call to it waits, also the one that this worker's supervision is in the middle of."""
    desk.behaviour = "slow"
    quick = dataclasses.replace(context, timings=dataclasses.replace(context.timings, lease=2))
    worker = threading.Thread(target=lambda: run(quick))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    trainer = int((folder_of(context) / "trainer.pid").read_text())
    desk.answers.clear()

    await_that(lambda: not is_alive(trainer), seconds=3)

    desk.answers.set()
    worker.join()
    # If the claim is still its own by then, it may put the job back.
    assert desk.outcome in {None, "given up"}


def test_a_registry_that_is_away_for_a_moment_loses_nothing(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "brief"
    worker = threading.Thread(target=lambda: run(context))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    desk.away = 5
    worker.join()

    assert desk.outcome == "published"
    assert [event.step for event in desk.events if isinstance(event, ProgressEvent)] == list(range(1, 21))


def test_a_job_that_cannot_fit_on_the_disk_says_so(context: WorkerContext, desk: FakeDesk) -> None:
    run(dataclasses.replace(context, min_free_bytes=1 << 60))

    assert (desk.outcome, desk.code) == ("failed", "disk_full")


def test_a_disk_that_refuses_a_folder_fails_the_job_and_not_the_worker(
    context: WorkerContext, desk: FakeDesk, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    run(dataclasses.replace(context, jobs_dir=tmp_path / "file"))

    assert (desk.outcome, desk.code) == ("failed", "internal_error")


def test_a_missing_dataset_fails_the_job_and_not_the_worker(context: WorkerContext, desk: FakeDesk) -> None:
    desk.train_sha256 = "0" * 64

    run(context)

    assert (desk.outcome, desk.code) == ("failed", "blob_not_found")


def test_a_kind_that_this_worker_does_not_know_fails_with_advice(context: WorkerContext, desk: FakeDesk) -> None:
    desk.kind = JobKind.EVALUATE

    run(context)

    assert (desk.outcome, desk.code) == ("failed", "unsupported_kind")
