"""`export` jobs through a worker: staged, supervised, stored, killed, cancelled, collected, read by the import."""

import os
import signal
from pathlib import Path

import pytest
import stage
from history import assert_legal
from installation import Installation, await_that
from moved_models import import_folder
from test_collection import collector

from core.domain.export_spec import ExportSpec
from core.domain.exports import Export, ExportFormat
from core.domain.jobs import JobState, Phase
from core.domain.records import Job
from core.services import exports, jobs, models, promotions, rebuilds, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.promotions import Promotion
from core.services.rebuilds import RebuildRequest
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(installation: Installation, version: str = "support", kind: ExportFormat = ExportFormat.MERGED) -> Job:
    with installation.registry.write() as work:
        return exports.submit(
            work, project_id=PROJECT, version=version, format=kind, dispatcher=installation.dispatcher
        ).job


def export_of(installation: Installation, job: Job) -> Export:
    with installation.registry.read() as work:
        assert_legal(work)
        return exports.require_export(work, project_id=PROJECT, export_id=job.params["export_id"])


def stored(installation: Installation) -> list[Path]:
    return sorted((installation.settings.artefacts_dir / "exports").glob("*/*/*"))


@pytest.fixture
def learned(installation: Installation) -> Installation:
    for task in ("ok-first", "brief-second", "ok-third"):
        installation.submit(task)
    installation.work_off()
    return installation


def test_a_worker_builds_what_was_asked_once_and_stores_it_verified(learned: Installation) -> None:
    job = ask(learned, "support@1")
    assert ask(learned, "support@1").id == job.id
    learned.work_off()
    done = learned.job(job)
    assert (done.state, done.error_detail, done.result_version_id) == (JobState.SUCCEEDED, None, None)
    spec = ExportSpec.model_validate_json((learned.folder(job) / "spec.json").read_text())
    assert ([task.name for task in spec.card.tasks], len(spec.chain)) == (["ok-first"], 1)
    assert spec.card.tasks[0].scores[0].value == 0.75
    export = export_of(learned, job)
    folder = LocalArtefactStore(learned.settings.artefacts_dir).path(str(export.artefact))
    manifests.verify(folder, sha256=export.manifest_sha256)
    listed = {file.name: file.sha256 for file in exports.files_of(export)}
    assert listed == {path.name: manifests.sha256_of(path) for path in folder.iterdir()}
    assert not (learned.folder(job) / "out").exists()
    assert ask(learned, "support@1").id == job.id


@on_sqlite
def test_an_export_whose_worker_is_killed_is_built_by_the_next_one(learned: Installation) -> None:
    with learned.registry.write() as work:
        promotions.rollback(
            work, project_id=PROJECT, model="support", promotion=Promotion(version="2", reason="the slow one")
        )
    job = ask(learned)
    with learned.worker() as worker:
        await_that(lambda: learned.job(job).phase is Phase.PREPARING and learned.job(job).step > 2)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    stage.expire(learned.registry, job)
    with learned.registry.write() as work:
        jobs.sweep(work, barren_limit=3)
    learned.work_off()
    assert learned.job(job).state is JobState.SUCCEEDED
    assert learned.job(job).claims == 2
    assert len(stored(learned)) == 1


@on_sqlite
def test_a_running_export_is_cancelled_and_leaves_nothing(learned: Installation) -> None:
    job = ask(learned, "support@2")
    with learned.worker():
        await_that(lambda: learned.job(job).step > 2)
        with learned.registry.write() as work:
            jobs.cancel(work, project_id=PROJECT, job_id=job.id)
        assert learned.await_end(job).state is JobState.CANCELLED
    assert stored(learned) == []


@on_sqlite
def test_an_export_that_is_not_its_version_is_not_delivered(learned: Installation) -> None:
    learned.submit("odd-fourth")
    learned.work_off()
    job = ask(learned)
    learned.work_off()
    done = learned.job(job)
    assert (done.state, done.error_code) == (JobState.FAILED, "parity_failed")
    assert "not the version" in str(done.error_detail)
    assert stored(learned) == []


def test_exports_go_with_their_version_and_not_before(learned: Installation) -> None:
    third, second = ask(learned, "support@3"), ask(learned, "support@2")
    learned.work_off()
    kept, doomed = export_of(learned, second), export_of(learned, third)
    assert not [name for name in collector(learned).collect() if name.startswith("artefact")]
    with learned.registry.write() as work:
        promotions.rollback(work, project_id=PROJECT, model="support", promotion=Promotion(version="2", reason="back"))
        promotions.delete(work, project_id=PROJECT, reference="support@3")
    removed = [name for name in collector(learned).collect() if "exports/" in name]
    assert removed == [f"artefact {doomed.artefact}"]
    assert [path.name for path in stored(learned)] == [kept.manifest_sha256]
    with learned.registry.write() as work:
        exports.delete(work, project_id=PROJECT, export_id=kept.id)
    assert [name for name in collector(learned).collect() if "exports/" in name] == [f"artefact {kept.artefact}"]
    again = ask(learned, "support@2")
    learned.work_off()
    assert learned.job(again).state is JobState.SUCCEEDED


@on_sqlite
def test_exports_of_a_deleted_model_are_collected(learned: Installation) -> None:
    ask(learned)
    learned.work_off()
    with learned.registry.write() as work:
        models.delete(work, project_id=PROJECT, reference="support")
    list(collector(learned).collect())
    assert stored(learned) == []


def test_a_delta_export_is_what_the_import_of_models_reads(learned: Installation) -> None:
    job = ask(learned, "support@2", ExportFormat.DELTA)
    learned.work_off()
    assert learned.job(job).error_detail is None
    folder = LocalArtefactStore(learned.settings.artefacts_dir).path(str(export_of(learned, job).artefact))
    told = import_folder(learned, folder)
    assert told.exit_code == 0, told.output
    with learned.registry.read() as work:
        assert_legal(work)
        own = versions.resolve(work, project_id=PROJECT, reference="support@2")
        guest = versions.resolve(work, project_id=PROJECT, reference="guest")
        entries = versions.lineage(work, project_id=PROJECT, model="guest")
    assert (guest.number, guest.digest, guest.manifest_sha256) == (2, own.digest, own.manifest_sha256)
    assert [(entry.version.number, entry.task_name) for entry in entries] == [
        (0, None),
        (1, "ok-first"),
        (2, "brief-second"),
    ]
    after = learned.submit("ok-after", model="guest")
    learned.work_off()
    assert learned.job(after).state is JobState.SUCCEEDED


@on_sqlite
def test_what_was_left_out_does_not_leave_with_a_delta_export(learned: Installation) -> None:
    with learned.registry.write() as work:
        request = RebuildRequest(model="support", leave_out=["ok-first"])
        rebuilds.submit(work, project_id=PROJECT, request=request, dispatcher=learned.dispatcher)
    learned.work_off()
    job = ask(learned, "support@4", ExportFormat.DELTA)
    learned.work_off()
    assert learned.job(job).error_detail is None
    folder = LocalArtefactStore(learned.settings.artefacts_dir).path(str(export_of(learned, job).artefact))
    assert sorted(path.name for path in (folder / "versions").iterdir()) == ["2", "3", "4"]
    spec = ExportSpec.model_validate_json((learned.folder(job) / "spec.json").read_text())
    assert (spec.card.left_out, [task.name for task in spec.card.tasks]) == (
        ("ok-first",),
        ["brief-second", "ok-third"],
    )
    told = import_folder(learned, folder)
    assert told.exit_code == 0, told.output
    with learned.registry.read() as work:
        assert_legal(work)
        states = {
            entry.version.number: entry.version.state
            for entry in versions.lineage(work, project_id=PROJECT, model="guest")
        }
    assert states == {0: "ready", 1: "deleted", 2: "ready", 3: "ready", 4: "ready"}
    after = learned.submit("ok-after", model="guest")
    learned.work_off()
    assert learned.job(after).state is JobState.SUCCEEDED
