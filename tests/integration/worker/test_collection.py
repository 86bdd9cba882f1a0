"""Garbage collection over real rows and folders, on every database: what goes, what stays, and breaking off anywhere."""

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from installation import Installation, never, nothing

from core.domain.jobs import JobState
from core.domain.records import Job
from core.services import claims, datasets, jobs, models, promotions, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.promotions import Promotion
from core.storage.artefacts import STAGING, LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from worker.control import assembly
from worker.control.collection import Collector
from worker.control.loop import run_next


def collector(installation: Installation, *, older_than_seconds: float = 0.0) -> Collector:
    settings = installation.settings
    return Collector(
        registry=installation.registry,
        artefacts=LocalArtefactStore(settings.artefacts_dir),
        blobs=LocalBlobStore(settings.blobs_dir),
        jobs_dir=settings.jobs_dir,
        scratch=(settings.uploads_dir, settings.artefacts_dir / STAGING),
        older_than_seconds=older_than_seconds,
    )


def files_of(installation: Installation) -> set[str]:
    root = installation.settings.data_dir
    kept = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {name for name in kept if not name.startswith((".", "registry")) and "/.collected" not in name}


def learned(installation: Installation, task: str = "ok-first") -> Job:
    job = installation.submit(task)
    installation.work_off()
    return installation.job(job)


def litter(installation: Installation) -> None:
    """Leave one thing of each kind that nothing refers to."""
    settings = installation.settings
    for folder in (
        settings.uploads_dir / "upload-1",
        settings.artefacts_dir / STAGING / "put_1",
        settings.artefacts_dir / "versions" / PROJECT / "mdl_gone" / ("a" * 64),
        settings.jobs_dir / "job_gone" / "1" / "checkpoints",
    ):
        folder.mkdir(parents=True)
        (folder / "file").write_text("left behind")
    settings.blobs_dir.mkdir(exist_ok=True)
    (settings.blobs_dir / ("b" * 64)).write_text("left behind")


def delete_latest(installation: Installation) -> None:
    with installation.registry.write() as work:
        wish = Promotion(version=None, reason="a bad day")
        promotions.rollback(work, project_id=PROJECT, model="support", promotion=wish)
        promotions.delete(work, project_id=PROJECT, reference="support@1")


def test_what_is_referred_to_stays(installation: Installation) -> None:
    learned(installation)
    for upload in installation.settings.uploads_dir.iterdir():
        upload.unlink()
    before = files_of(installation)

    assert list(collector(installation).collect()) == []

    assert files_of(installation) == before


def test_what_nothing_refers_to_goes_once_it_is_old(installation: Installation) -> None:
    learned(installation)
    before = files_of(installation)
    litter(installation)

    assert list(collector(installation, older_than_seconds=3600).collect()) == []
    assert len(list(collector(installation).collect())) == 5

    assert files_of(installation) == before


@pytest.mark.parametrize("steps", range(6))
def test_collection_may_break_off_anywhere(installation: Installation, steps: int) -> None:
    learned(installation)
    before = files_of(installation)
    litter(installation)

    list(islice(collector(installation).collect(), steps))
    list(collector(installation).collect())

    assert files_of(installation) == before
    assert list(collector(installation).collect()) == []
    assert learned(installation, "ok-second").state is JobState.SUCCEEDED


def test_the_files_of_a_deleted_version_go(installation: Installation) -> None:
    learned(installation)
    with installation.registry.read() as work:
        key = str(versions.resolve(work, project_id=PROJECT, reference="support@1").artefact)
    store = LocalArtefactStore(installation.settings.artefacts_dir)
    assert store.path(key)
    delete_latest(installation)

    assert list(collector(installation).collect()) == [f"artefact {key}"]


def test_the_files_of_a_deleted_model_and_its_data_go(installation: Installation) -> None:
    job = learned(installation)
    with installation.registry.write() as work:
        models.delete(work, project_id=PROJECT, reference="support")
        dataset = datasets.page(work, project_id=PROJECT).data[0]
        datasets.delete(work, project_id=PROJECT, dataset_id=dataset.id)

    kinds = [removed.split()[0] for removed in collector(installation).collect()]

    assert kinds == ["blob", "artefact", "job"]
    assert not (installation.settings.jobs_dir / job.id).exists()


def test_a_paused_job_keeps_its_checkpoint_and_a_cancelled_one_does_not(installation: Installation) -> None:
    job = installation.submit("pausable-a")

    def pause_once_it_runs() -> None:
        if installation.job(job).step > 0:
            with installation.registry.write() as work:
                jobs.pause(work, project_id=PROJECT, job_id=job.id)

    with assembly.open_context(installation.settings) as context:
        run_next(context, stop_requested=never, chores=pause_once_it_runs)
    checkpoints = installation.folder(job) / "checkpoints"
    list(collector(installation).collect())
    assert any(checkpoints.iterdir())

    with installation.registry.write() as work:
        jobs.cancel(work, project_id=PROJECT, job_id=job.id)
    list(collector(installation).collect())

    assert not checkpoints.exists()
    assert (installation.folder(job) / "spec.json").is_file()


def test_an_artefact_that_lost_its_lease_before_the_commit_goes(installation: Installation) -> None:
    """The first attempt publishes its files and loses the job before its row; the second one succeeds."""
    job = installation.submit("ok-first")
    lost: list[str] = []

    class SlowStore(LocalArtefactStore):
        def publish(self, folder: Path, *, key: str) -> None:
            super().publish(folder, key=key)
            if not lost:
                lost.append(key)
                held = installation.job(job)
                with installation.registry.write() as work:
                    claims.beat(work, job_id=job.id, fence=int(held.fence or 0), lease_seconds=-1)
                    claims.sweep(work, barren_limit=3)

    store = SlowStore(installation.settings.artefacts_dir)
    with assembly.open_context(installation.settings) as context:
        run_next(replace(context, artefacts=store), stop_requested=never, chores=nothing)
        assert installation.job(job).state is JobState.QUEUED
        run_next(replace(context, artefacts=store), stop_requested=never, chores=nothing)

    assert f"artefact {lost[0]}" in list(collector(installation).collect())
    with installation.registry.read() as work:
        kept = versions.resolve(work, project_id=PROJECT, reference="support@1").artefact
    assert kept != lost[0]
    assert store.path(str(kept))


def test_nothing_of_a_model_goes_while_one_of_its_jobs_runs(installation: Installation) -> None:
    learned(installation)
    delete_latest(installation)
    installation.submit("ok-second")
    with installation.registry.write() as work:
        held = claims.claim(work, owner="other", lease_seconds=60)

    assert list(collector(installation).collect()) == []

    assert held is not None
    with installation.registry.write() as work:
        claims.fail(work, job_id=held.id, fence=int(held.fence or 0), code="crash", detail="")
    assert len(list(collector(installation).collect())) == 1


def test_the_workers_of_a_machine_collect_once_an_hour(installation: Installation) -> None:
    collect = collector(installation)
    collect()
    litter(installation)
    collect()
    assert (installation.settings.blobs_dir / ("b" * 64)).exists()
    stamp = installation.settings.jobs_dir / ".collected"
    os.utime(stamp, (0, 0))
    collect()
    assert not (installation.settings.blobs_dir / ("b" * 64)).exists()
