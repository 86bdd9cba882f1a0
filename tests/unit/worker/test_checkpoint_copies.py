"""Checkpoints on their way out while an attempt runs: nothing waits for them, and nothing that is announced is lost."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

from fake_desk import FakeDesk
from one_attempt import await_that, folder_of, run

from core.domain.errors import UnavailableError
from core.domain.job_folder import CheckpointPlace, JobFolder
from core.storage import manifests
from worker.control.checkpoints import CheckpointCopies
from worker.control.context import WorkerContext


class FolderStore:
    """Where checkpoints are kept, in memory; each call waits until the gate is open."""

    def __init__(self) -> None:
        self.saved: list[CheckpointPlace] = []
        self.deleted: list[str] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.away = 0

    def save(self, folder: Path, *, job_id: str, place: CheckpointPlace) -> None:
        del job_id
        self.begun.set()
        assert self.gate.wait(30)
        self._enter()
        manifests.verify(folder)
        self.saved.append(place)

    def of_job(self, job_id: str) -> tuple[CheckpointPlace, ...]:
        del job_id
        self._enter()
        return ()

    def fetch(self, job_id: str, place: CheckpointPlace, *, target: Path) -> None:
        raise NotImplementedError

    def prune(self, job_id: str, *, keep: int) -> None:
        del job_id, keep
        self._enter()

    def delete(self, job_id: str) -> None:
        self._enter()
        self.deleted.append(job_id)

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        raise NotImplementedError

    def _enter(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise UnavailableError("away")


def sealed(folder: JobFolder, step: int) -> None:
    made = folder.checkpoints / f"step-{step}"
    made.mkdir(parents=True)
    (made / "state.json").write_text(str(step))
    manifests.seal(made, {})


def copies_of(store: FolderStore | None, folder: JobFolder) -> CheckpointCopies:
    return CheckpointCopies(store, job_id="job_1", fence=1, folder=folder)


def test_a_store_that_hangs_keeps_neither_the_heart_nor_the_job_from_going_on(
    context: WorkerContext, desk: FakeDesk
) -> None:
    desk.behaviour, store = "marches", FolderStore()
    worker = threading.Thread(target=lambda: run(dataclasses.replace(context, checkpoints=store)))
    worker.start()
    assert store.begun.wait(30)
    beats = desk.beats

    assert desk.settled.wait(30)

    assert (desk.outcome, store.saved) == ("published", [])
    assert desk.beats > beats
    store.gate.set()
    worker.join()
    assert store.deleted == ["job_1"]


def test_a_worker_that_lets_go_waits_until_the_last_checkpoint_is_out(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour, store, stop = "pausable", FolderStore(), threading.Event()
    worker = threading.Thread(target=lambda: run(dataclasses.replace(context, checkpoints=store), stop=stop))
    worker.start()
    await_that((folder_of(context) / "events.jsonl").exists)
    stop.set()
    assert store.begun.wait(30)
    assert desk.outcome is None

    store.gate.set()
    worker.join()

    assert (desk.outcome, [place.name for place in store.saved]) == ("released", ["step-2"])
    assert not list(folder_of(context).glob("copies/*"))


def test_of_those_announced_meanwhile_the_latest_is_next(tmp_path: Path) -> None:
    store, folder = FolderStore(), JobFolder(tmp_path / "1")
    for step in (1, 2, 3):
        sealed(folder, step)
    with copies_of(store, folder) as copies:
        copies.announce(1)
        assert store.begun.wait(30)
        copies.announce(2)
        copies.announce(3)
        store.gate.set()
        copies.finish()

    assert [place.step for place in store.saved] == [1, 3]


def test_a_checkpoint_that_the_trainer_removes_meanwhile_is_copied_all_the_same(tmp_path: Path) -> None:
    store, folder = FolderStore(), JobFolder(tmp_path / "1")
    sealed(folder, 1)
    with copies_of(store, folder) as copies:
        copies.announce(1)
        assert store.begun.wait(30)
        for path in (folder.checkpoints / "step-1").iterdir():
            path.unlink()
        store.gate.set()
        copies.finish()

    assert [place.step for place in store.saved] == [1]


def test_a_copy_that_fails_is_followed_by_the_next_one(tmp_path: Path) -> None:
    store, folder = FolderStore(), JobFolder(tmp_path / "1")
    store.gate.set()
    store.away = 1
    for step in (2, 3):
        sealed(folder, step)
    with copies_of(store, folder) as copies:
        for step in (1, 2, 3):
            copies.announce(step)
            copies.finish()

    assert [place.step for place in store.saved] == [3]


def test_a_store_that_is_away_when_a_job_begins_is_waited_for(context: WorkerContext, desk: FakeDesk) -> None:
    store = FolderStore()
    store.away = 2
    store.gate.set()

    run(dataclasses.replace(context, checkpoints=store))

    assert desk.outcome == "published"


def test_where_all_share_one_folder_nothing_is_copied(context: WorkerContext, desk: FakeDesk, tmp_path: Path) -> None:
    desk.behaviour = "resumes"
    run(context)
    assert desk.outcome == "given up"
    left = (folder_of(context) / "checkpoints").glob("*/manifest.json")

    assert len(list(left)) == 1
    assert not (folder_of(context) / "copies").exists()
    with copies_of(None, JobFolder(tmp_path / "1")) as copies:
        copies.announce(1)
        copies.finish()
    await_that(lambda: not any(thread.name == "checkpoints" for thread in threading.enumerate()))
