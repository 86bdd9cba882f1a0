"""Checkpoints in a bucket, and how the next claim takes one over."""

from pathlib import Path

import pytest

from core.domain.job_folder import CheckpointPlace, JobFolder
from core.storage import manifests
from core.storage.checkpoints import S3CheckpointStore
from core.storage.s3 import Bucket
from worker.control import checkpoints

JOB = "job_1"


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> S3CheckpointStore:
    return S3CheckpointStore(bucket, tmp_path / "scratch")


def place(fence: int, step: int) -> CheckpointPlace:
    return CheckpointPlace(fence=fence, step=step)


def sealed(folder: Path, words: str = "state") -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(words)
    manifests.seal(folder, {"fingerprint": words})
    return folder


def save(store: S3CheckpointStore, tmp_path: Path, *places: CheckpointPlace) -> None:
    for each in places:
        words = f"claim {each.fence}, step {each.step}"
        store.save(sealed(tmp_path / "made" / str(each.fence) / each.name, words), job_id=JOB, place=each)


def attempt(machine: Path, fence: int) -> JobFolder:
    folder = JobFolder(machine / JOB / str(fence))
    folder.root.mkdir(parents=True, exist_ok=True)
    return folder


def adopted(folder: JobFolder) -> list[str]:
    return [path.read_text() for path in sorted(folder.checkpoints.glob("step-*/state.json"))]


def damage(bucket: Bucket, tmp_path: Path, each: CheckpointPlace) -> None:
    (tmp_path / "damage").write_text("claim 9, step 99")
    bucket.upload(tmp_path / "damage", f"artefacts/checkpoints/{JOB}/{each.fence}/{each.name}/state.json")


def test_a_later_claim_on_another_machine_takes_over_the_latest(store: S3CheckpointStore, tmp_path: Path) -> None:
    save(store, tmp_path, place(1, 40), place(2, 10), place(2, 9))
    folder = attempt(tmp_path / "other", 3)

    checkpoints.adopt(folder, job_id=JOB, store=store)

    assert store.of_job(JOB) == (place(2, 10), place(2, 9), place(1, 40))
    assert adopted(folder) == ["claim 2, step 10"]


def test_one_that_is_damaged_or_half_there_is_passed_over_for_the_one_before(
    store: S3CheckpointStore, bucket: Bucket, tmp_path: Path
) -> None:
    save(store, tmp_path, place(1, 10), place(1, 20))
    damage(bucket, tmp_path, place(1, 20))
    damage(bucket, tmp_path, place(1, 30))
    folder = attempt(tmp_path / "other", 2)

    checkpoints.adopt(folder, job_id=JOB, store=store)

    assert adopted(folder) == ["claim 1, step 10"]


def test_what_this_machine_has_is_taken_where_it_is_later_and_whole(store: S3CheckpointStore, tmp_path: Path) -> None:
    save(store, tmp_path, place(1, 10), place(2, 20))
    for fence, own in ((4, 30), (5, 20)):
        machine = tmp_path / f"machine-{fence}"
        sealed(attempt(machine, fence).checkpoints / f"step-{own}", "here")
        broken = sealed(attempt(machine, fence).checkpoints / f"step-{own + 1}", "broken")
        (broken / "state.json").write_text("cut off")
        folder = attempt(machine, 6)

        checkpoints.adopt(folder, job_id=JOB, store=store)

        assert "here" in adopted(folder)
    earlier = tmp_path / "earlier"
    sealed(attempt(earlier, 1).checkpoints / "step-12", "here")
    folder = attempt(earlier, 6)

    checkpoints.adopt(folder, job_id=JOB, store=store)

    assert adopted(folder) == ["claim 2, step 20"]


def test_the_last_two_are_kept_and_a_slow_earlier_claim_cannot_push_them_out(
    store: S3CheckpointStore, bucket: Bucket, tmp_path: Path
) -> None:
    damage(bucket, tmp_path, place(1, 5))
    save(store, tmp_path, place(1, 10), place(1, 20), place(2, 15), place(1, 90))

    store.prune(JOB, keep=2)

    assert store.of_job(JOB) == (place(2, 15), place(1, 90))
    assert len(list(bucket.keys(""))) == 4


def test_at_its_end_a_job_leaves_nothing_and_others_keep_theirs(
    store: S3CheckpointStore, bucket: Bucket, tmp_path: Path
) -> None:
    save(store, tmp_path, place(1, 10))
    store.save(sealed(tmp_path / "else"), job_id="job_12", place=place(1, 1))

    assert list(store.stale(older_than_seconds=3600)) == []
    assert list(store.stale(older_than_seconds=0)) == [JOB, "job_12"]
    checkpoints.forget(store, job_id=JOB)
    checkpoints.forget(store, job_id=JOB)

    assert list(store.stale(older_than_seconds=0)) == ["job_12"]
    assert all("/job_12/" in key for key in bucket.keys(""))
