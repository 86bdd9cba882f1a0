"""A model leaves one installation as a folder and enters another: whole and verified, or not at all."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import s3_server
from history import assert_legal
from installation import Install, Installation, prepare
from sqlalchemy import select
from typer.testing import CliRunner, Result

from api.lineages import app
from core.dispatch.local import LocalDispatcher
from core.domain.jobs import JobState
from core.domain.policies import ModelPolicy
from core.domain.trainer_spec import TrainerSpec
from core.registry.access_tables import API_KEY
from core.registry.work import Registry
from core.services import evaluations, models, projects, promotions, publication, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.promotions import Promotion
from core.settings import Settings
from core.storage import lineages as folders
from core.storage import manifests
from core.storage.artefacts import STAGING, LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from core.storage.s3 import Bucket
from worker.control.collection import Collector

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "move-a-model.md"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def run(settings: Settings, *words: str) -> Result:
    surroundings = {f"STRATA_{name.upper()}": str(value) for name, value in named(settings).items()} | {
        "COLUMNS": "200"
    }
    return CliRunner().invoke(app, words, env=surroundings, catch_exceptions=False)


def named(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_none=True, exclude={"engine_secret"})


def import_folder(installation: Installation, folder: Path, name: str = "guest") -> Result:
    return run(installation.settings, "import", str(folder), "--name", name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Installation]:
    """An installation on SQLite whose model `support` has learned three tasks, been rolled back and found damaged."""
    data = tmp_path_factory.mktemp("home")
    shutil.copyfile(sqlite_template, data / "registry.sqlite")
    fake = Path(__file__).parents[2] / "fake_trainer.py"
    settings = Settings(
        data_dir=data,
        min_free_bytes=0,
        device="cpu",
        trainer_threads=1,
        compute_command=f"{sys.executable} {fake}",
        beat_seconds=0.25,
        lease_seconds=30,
        poll_seconds=0.1,
        sweep_seconds=0.5,
    )
    with closing(Registry(settings.database_url)) as registry:
        prepare(registry)
        made = Installation(settings, registry, LocalDispatcher())
        made.add_base_model()
        made.work_off()
        with registry.write() as work:
            policy = ModelPolicy(store_rows=True)
            models.create(work, project_id=PROJECT, name="support", base_model="tiny-ok", method={}, policy=policy)
            models.create(work, project_id=PROJECT, name="discreet", base_model="tiny-ok", method={})
        for task in ("ok-first", "crash-second", "ok-third", "ok-fourth"):
            made.submit(task)
        made.work_off()
        with registry.write() as work:
            promote = {"project_id": PROJECT, "model": "support"}
            promotions.promote(work, **promote, alias="stable", promotion=Promotion(version="1", reason="shown"))
        with registry.write() as work:
            third = versions.resolve(work, project_id=PROJECT, reference="support@3")
            publication.mark_corrupt(work, version_id=third.id, reason="a byte")
        yield made


@pytest.fixture(scope="module")
def exported(home: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`support` as a folder, with its datasets."""
    folder = tmp_path_factory.mktemp("exported") / "support"
    told = run(home.settings, "export", "support", str(folder), "--datasets")
    assert told.exit_code == 0, told.output
    assert told.stdout.strip() == manifests.sha256_of(folder / "manifest.json")
    return folder


@pytest.fixture(scope="module")
def without_rows(home: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`support` as a folder, without its datasets."""
    folder = tmp_path_factory.mktemp("exported") / "support"
    assert run(home.settings, "export", "support", str(folder)).exit_code == 0
    return folder


@pytest.fixture
def abroad(install: Install) -> Installation:
    """Another installation, on either database, with the same base model."""
    made = install()
    made.add_base_model()
    made.work_off()
    return made


def shown(registry: Registry, model: str) -> dict[str, Any]:
    """What a user sees of a model, without ids."""
    with registry.read() as work:
        entries = versions.lineage(work, project_id=PROJECT, model=model)
        numbers = {entry.version.id: entry.version.number for entry in entries}
        matrix = evaluations.matrix(work, project_id=PROJECT, model=model)
        aliases = versions.aliases(work, project_id=PROJECT, model=model)
        histories = {
            each.name: versions.alias_history(work, project_id=PROJECT, model=model, alias=each.name)
            for each in aliases
        }
        found = models.get(work, project_id=PROJECT, reference=model)
    return {
        "versions": [
            (
                entry.version.number,
                entry.version.state,
                entry.task_name,
                entry.aliases,
                [numbers[link] for link in entry.version.chain],
                entry.version.manifest_sha256,
                entry.version.digest,
                entry.version.delta,
                entry.version.created_ms,
            )
            for entry in entries
        ],
        "aliases": {
            name: [(move.n, numbers[move.to_version_id], move.actor, move.reason, move.at_ms) for move in moves]
            for name, moves in histories.items()
        },
        "scores": (matrix.tasks, matrix.scores, matrix.base_scores, matrix.density),
        "model": (found.method, found.policy, found.fence, found.created_ms),
    }


def contents(installation: Installation) -> tuple[dict[str, list[Any]], list[str]]:
    """Every row, and every file of the data folder but the database's and the jobs' own."""
    settings = installation.settings
    with installation.registry.read() as work:
        rows = {
            name: [tuple(row) for row in work.connection.execute(select(table)).all()]
            for name, table in API_KEY.metadata.tables.items()
        }
    places = (settings.artefacts_dir, settings.blobs_dir, settings.uploads_dir)
    return rows, sorted(str(path) for place in places for path in place.rglob("*") if path.is_file())


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


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the document, and seal the folder anew as somebody with bad intent would."""
    document = json.loads((folder / "lineage.json").read_text())
    change(document)
    (folder / "lineage.json").write_text(json.dumps(document))
    resealed(folder)


def resealed(folder: Path) -> None:
    body = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    manifests.seal(folder, body)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _base(document: dict[str, Any]) -> None:
    document["base"]["digest"] = "0" * 64


def _digest(document: dict[str, Any]) -> None:
    document["versions"][2]["digest"] = "0" * 64


def _chain(document: dict[str, Any]) -> None:
    document["versions"][2]["chain"] = document["versions"][2]["chain"][1:]


def _foreign(document: dict[str, Any]) -> None:
    document["aliases"][0]["moves"][0]["to_version_id"] = "ver_elsewhere"


def _unknown(document: dict[str, Any]) -> None:
    document["model"]["owner"] = "me"


# What is done to a folder, and what the refusal names.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda folder: flip(folder / "versions/2/delta.safetensors"), "versions/2/delta.safetensors"),
    "a flipped bit in the document": (lambda folder: flip(folder / "lineage.json"), "lineage.json"),
    "a missing file": (lambda folder: (folder / "versions/1/canary.safetensors").unlink(), "canary.safetensors"),
    "an extra file": (lambda folder: (folder / "versions/1/model.bin").write_bytes(b"x"), "versions/1/model.bin"),
    "a link": (lambda folder: (folder / "versions/1/link").symlink_to("/etc/hostname"), "link"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no manifest"),
    "an extra file, sealed": (
        lambda folder: ((folder / "versions/1/model.bin").write_bytes(b"x"), resealed(folder)),
        "versions/1/model.bin",
    ),
    "a version left out, sealed": (
        lambda folder: (shutil.rmtree(folder / "versions/1"), resealed(folder)),
        "versions/1/manifest.json",
    ),
    "other weights, sealed": (
        lambda folder: (flip(folder / "versions/2/delta.safetensors"), resealed(folder)),
        "versions/2",
    ),
    "another dataset, sealed": (
        lambda folder: (flip(next((folder / "datasets").iterdir())), resealed(folder)),
        "datasets/",
    ),
    "another base": (lambda folder: edited(folder, _base), "versions/1"),
    "another digest": (lambda folder: edited(folder, _digest), "versions/2"),
    "another chain": (lambda folder: edited(folder, _chain), "chain"),
    "an alias of another model": (lambda folder: edited(folder, _foreign), "an alias refers"),
    "an unknown field": (lambda folder: edited(folder, _unknown), "model.owner"),
}


@on_sqlite
def test_a_folder_that_is_not_what_was_exported_is_refused_and_leaves_nothing(
    abroad: Installation, exported: Path, tmp_path: Path
) -> None:
    before = contents(abroad)
    for name, (damage, named_in_error) in DAMAGES.items():
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(exported, folder)
        damage(folder)
        told = import_folder(abroad, folder)
        assert told.exit_code == 1, name
        assert named_in_error in told.stderr, name
        assert contents(abroad) == before, name


def test_what_cannot_be_here_is_refused_and_leaves_nothing(install: Install, exported: Path) -> None:
    bare = install()
    before = contents(bare)
    told = import_folder(bare, exported)
    assert "base is not among those ready here: 'tiny-ok' from 'folder:/models/ok'" in told.stderr
    bare.add_base_model()
    bare.work_off()
    bare.create_model("guest")
    assert "a model has this name" in import_folder(bare, exported).stderr
    assert "not a valid name" in import_folder(bare, exported, "../x").stderr
    # The last thing that can refuse it stands within the transaction: by then every file is in place.
    with bare.registry.write() as work:
        projects.set_quotas(work, project_id=PROJECT, reference=PROJECT, quotas={"max_bytes": 10})
    before = contents(bare)
    told = import_folder(bare, exported, "other")
    assert (told.exit_code, "quota" in told.stderr) == (1, True)
    assert contents(bare) == before


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
