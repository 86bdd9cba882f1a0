"""A model leaves one installation as a folder and enters another: whole and verified, or not at all."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import s3_server
from history import assert_legal
from installation import Installation
from moved_models import contents, import_folder, run, shown

from core.domain.jobs import JobState
from core.domain.trainer_spec import TrainerSpec
from core.services import models, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage import lineages as folders
from core.storage import manifests
from core.storage.artefacts import STAGING, LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from core.storage.s3 import Bucket
from worker.control.collection import Collector

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "move-a-model.md"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_model_comes_over_whole(home: Installation, abroad: Installation, exported: Path) -> None:
    told = import_folder(abroad, exported)
    assert told.exit_code == 0, told.output

    assert shown(abroad.registry, "guest") == shown(home.registry, "support")
    with abroad.registry.read() as work:
        assert_legal(work)
        found = models.get(work, project_id=PROJECT, reference="guest")
        latest = versions.resolve(work, project_id=PROJECT, reference="guest")
    with home.registry.read() as work:
        origin = models.get(work, project_id=PROJECT, reference="support")
    assert found.id == told.stdout.strip() != origin.id
    assert latest.number == 2
    stored = LocalArtefactStore(abroad.settings.artefacts_dir).path(str(latest.artefact))
    assert manifests.verify(stored, sha256=latest.manifest_sha256)


@pytest.mark.parametrize("datasets", [True, False])
def test_an_imported_model_learns_on(
    abroad: Installation,
    exported: Path,
    without_rows: Path,
    datasets: bool,  # noqa: FBT001
) -> None:
    assert import_folder(abroad, exported if datasets else without_rows).exit_code == 0

    job = abroad.submit("ok-abroad", model="guest")
    abroad.work_off()

    assert abroad.job(job).state is JobState.SUCCEEDED, abroad.job(job).error_detail
    spec = TrainerSpec.model_validate_json((abroad.folder(job) / "spec.json").read_text())
    with abroad.registry.read() as work:
        made = versions.resolve(work, project_id=PROJECT, reference="guest")
        chain = [versions.resolve(work, project_id=PROJECT, reference=f"guest@{n}") for n in (1, 2)]
        assert_legal(work)
    assert (made.number, made.chain[:-1]) == (4, tuple(link.id for link in chain))
    assert [link.manifest_sha256 for link in spec.chain] == [link.manifest_sha256 for link in chain]
    learned = ["ok-first", "ok-third"] if datasets else []
    assert [task.name for task in spec.tasks] == [*learned, "ok-abroad"]


@on_sqlite
def test_rows_that_are_here_already_are_found_by_their_hash(
    home: Installation, abroad: Installation, exported: Path, without_rows: Path
) -> None:
    """Twice, under two names: the second import brings no rows, and shares those of the first."""
    assert import_folder(abroad, exported, "one").exit_code == 0
    before = contents(abroad)[0]["dataset"]
    assert import_folder(abroad, without_rows, "two").exit_code == 0
    assert contents(abroad)[0]["dataset"] == before
    assert shown(abroad.registry, "one") == shown(abroad.registry, "two") == shown(home.registry, "support")


def test_without_datasets_no_row_of_a_file_leaves(exported: Path, without_rows: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == ["datasets", "lineage.json", "manifest.json", "versions"]
    assert sorted(path.name for path in without_rows.iterdir()) == ["lineage.json", "manifest.json", "versions"]
    assert sorted(path.name for path in (exported / "versions").iterdir()) == ["1", "2"], "3 is corrupt"
    files = [path.read_bytes() for path in without_rows.rglob("*") if path.is_file()]
    assert not any(b"ok-first 7?" in content for content in files)


def test_an_export_is_refused_and_leaves_no_folder(home: Installation, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for words, message in (
        (("discreet", str(tmp_path / "a"), "--datasets"), "does not let rows be stored"),
        (("nobody", str(tmp_path / "a")), "no such model"),
        (("support", str(there)), "exists already"),
        (("support", str(tmp_path / "a"), "--project", "nobody"), "no such project"),
    ):
        told = run(home.settings, "export", *words)
        assert told.exit_code == 1
        assert message in told.stderr
    assert list(tmp_path.iterdir()) == [there]
    assert run(home.settings, "export", "discreet", str(tmp_path / "a")).exit_code == 0


KILLED = """
import os, signal
from sqlalchemy import Engine, event
from api.lineages import app

@event.listens_for(Engine, "commit")
def die(connection):
    os.kill(os.getpid(), signal.SIGKILL)

app()
"""


def test_an_import_that_is_killed_before_its_commit_leaves_only_garbage(abroad: Installation, exported: Path) -> None:
    rows, files = contents(abroad)
    words = [sys.executable, "-c", KILLED, "import", str(exported), "--name", "guest"]
    died = subprocess.run(words, env=dict(os.environ) | abroad.environment, check=False)
    assert died.returncode == -9
    left = contents(abroad)
    assert left[0] == rows
    assert len(left[1]) > len(files)

    settings = abroad.settings
    garbage = Collector(
        registry=abroad.registry,
        artefacts=LocalArtefactStore(settings.artefacts_dir),
        blobs=LocalBlobStore(settings.blobs_dir),
        jobs_dir=settings.jobs_dir,
        scratch=(settings.uploads_dir, settings.artefacts_dir / STAGING),
        older_than_seconds=0.0,
    )
    assert list(garbage.collect())
    assert contents(abroad)[1] == files

    assert import_folder(abroad, exported).exit_code == 0
    with abroad.registry.read() as work:
        assert versions.resolve(work, project_id=PROJECT, reference="guest").number == 2


@on_sqlite
def test_a_bucket_takes_and_gives_the_same_folder(abroad: Installation, exported: Path, tmp_path: Path) -> None:
    with s3_server.running() as endpoint:
        Bucket.open("s3://models-bucket", endpoint_url=endpoint).client.create_bucket(Bucket="models-bucket")
        stored = {"storage_url": "s3://models-bucket/one", "storage_endpoint_url": endpoint}
        settings = abroad.settings.model_copy(update=stored)
        told = run(settings, "import", str(exported), "--name", "guest")
        assert told.exit_code == 0, told.output
        shutil.rmtree(settings.blobs_dir)
        told = run(settings, "export", "guest", str(tmp_path / "again"), "--datasets")
        assert told.exit_code == 0, told.output
    hashes = [manifests.hash_files(folder) for folder in (exported, tmp_path / "again")]
    assert [file for file in hashes[0] if file.name != "lineage.json"] == [
        file for file in hashes[1] if file.name != "lineage.json"
    ]


@on_sqlite
def test_the_commands_of_the_how_to_page_run_as_printed(
    home: Installation, abroad: Installation, tmp_path: Path
) -> None:
    printed = re.findall(r"^python -m api\.lineages (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [line.split()[0] for line in printed] == ["export", "import"]
    with contextlib.chdir(tmp_path):
        for installation, line in zip((home, abroad), printed, strict=True):
            told = run(installation.settings, *shlex.split(line))
            assert told.exit_code == 0, told.output


def test_the_verified_folder_names_what_it_holds(exported: Path) -> None:
    packed = folders.unpack(exported)
    assert [folder.name for _, folder in packed.artefacts()] == ["1", "2"]
    assert len(list(packed.datasets())) == len(packed.lineage.datasets) == 3
