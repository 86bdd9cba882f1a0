"""A worker or its trainer dies at each point where something must be whole or absent; the next one ends where it would have."""

import json
from pathlib import Path
from typing import Any

import one_worker
import pytest
from installation import Install, Installation

from core.domain.crash_points import VARIABLE
from core.domain.jobs import TERMINAL, JobState
from core.domain.records import Job
from core.services import versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from tests.fake_trainer.command import COMMAND_LINE

# What is about processes and files needs one database only; `make chaos` dies at random points on both.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

KILLED = -9
# Where a worker passes on its way through one job, and how many go by first.
WORKER = [
    ("claim.before", 1),
    ("commit.before", 1),
    ("commit.after", 1),
    ("claim.after", 1),
    ("spec.before", 1),
    ("spec.after", 1),
    ("trainer.before", 1),
    ("trainer.after", 1),
    ("commit.before", 3),
    ("commit.after", 4),
    ("store.before", 1),
    ("fsync.before", 1),
    ("fsync.after", 3),
    ("rename.before", 1),
    ("rename.after", 1),
    ("store.after", 1),
    ("publish.before", 1),
    ("publish.after", 1),
    ("removal.before", 1),
    ("removal.after", 2),
]
# Where its trainer does: it seals four checkpoints and the artefact.
TRAINER = [
    ("fsync.before", 1),
    ("rename.before", 1),
    ("rename.after", 1),
    ("removal.before", 1),
    ("removal.after", 2),
    ("fsync.after", 12),
    ("rename.before", 5),
    ("rename.after", 5),
]


@pytest.fixture
def crashing(install: Install, tmp_path: Path) -> Installation:
    for kind in ("worker", "trainer"):
        (tmp_path / "fuses" / kind).mkdir(parents=True)
    command = f"env {VARIABLE}={tmp_path / 'fuses' / 'trainer'} {COMMAND_LINE}"
    made = install(compute_command=command)
    made.settings = made.settings.model_copy(
        update={"lease_seconds": 0.8, "beat_seconds": 0.15, "sweep_seconds": 0.1, "barren_limit": 100}
    )
    made.add_base_model()
    made.work_off()
    return made


def left_by(installation: Installation, job: Job, model: str) -> dict[str, Any]:
    """Return what a job came to, without the ids and numbers that differ from one run to another."""
    done = installation.job(job)
    with installation.registry.read() as opened:
        found = versions.page(opened, project_id=PROJECT, model=model, order="asc").data
        latest = versions.resolve(opened, project_id=PROJECT, reference=model)
    folder = LocalArtefactStore(installation.settings.artefacts_dir).path(str(latest.artefact))
    manifests.verify(folder, sha256=str(latest.manifest_sha256))
    return {
        "job": (done.state, done.error_code, done.step),
        "versions": [(version.number, version.state, len(version.chain)) for version in found],
        "latest": (latest.number, latest.id == done.result_version_id, latest.digest),
        "files": sorted(path.name for path in folder.iterdir()),
        "walk": json.loads((folder / "walk.json").read_text()),
    }


def learn(installation: Installation, model: str, fuse: Path | None, passes: int = 1) -> tuple[Job, list[int | None]]:
    """Let workers learn one task; the first one, or its trainer, dies at the fuse."""
    installation.create_model(model)
    job = installation.submit(f"walk-{model}", model=model)
    if fuse is not None:
        fuse.write_text(f"kill {passes}")
    ends = []
    while installation.job(job).state not in TERMINAL:
        ends.append(one_worker.run(installation.settings, installation.settings.data_dir.parent / "fuses" / "worker"))
        assert len(ends) < 4, ends
    return job, ends


def test_wherever_they_die_the_same_comes_of_it(crashing: Installation, subtests: pytest.Subtests) -> None:
    fuses = crashing.settings.data_dir.parent / "fuses"
    undisturbed, _ = learn(crashing, "undisturbed", None)
    expected = left_by(crashing, undisturbed, "undisturbed")
    assert expected["job"][0] is JobState.SUCCEEDED
    for kind, points in (("worker", WORKER), ("trainer", TRAINER)):
        for n, (point, passes) in enumerate(points):
            with subtests.test(f"{kind} at {point}, pass {passes}"):
                fuse, model = fuses / kind / point, f"{kind}-{n}"

                job, ends = learn(crashing, model, fuse, passes)

                assert not fuse.exists(), "nobody passed there"
                assert (KILLED in ends) is (kind == "worker")
                assert left_by(crashing, job, model) == expected
