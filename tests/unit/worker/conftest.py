"""A worker over a registry in memory, real folders, and the fake trainer as a real process."""

import hashlib
import json
from pathlib import Path

import pytest
from fake_desk import QUICK, FakeDesk

from core.storage.artefacts import LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from tests.fake_trainer.command import COMMAND
from worker.control.context import Compute, WorkerContext


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def context(tmp_path: Path, desk: FakeDesk, told: list[str]) -> WorkerContext:
    content = b"".join(json.dumps({"prompt": f"{n}?", "completion": f" {n}"}).encode() + b"\n" for n in range(40))
    desk.train_sha256 = hashlib.sha256(content).hexdigest()
    blobs = LocalBlobStore(tmp_path / "blobs")
    (tmp_path / "upload").write_bytes(content)
    blobs.adopt(tmp_path / "upload", sha256=desk.train_sha256)
    (tmp_path / "jobs").mkdir()
    return WorkerContext(
        desk=desk,
        artefacts=LocalArtefactStore(tmp_path / "artefacts"),
        blobs=blobs,
        jobs_dir=tmp_path / "jobs",
        base_models_dir=tmp_path / "base-models",
        compute=Compute(command=COMMAND, device="cpu", threads=1),
        timings=QUICK,
        notify_engine=lambda: told.append("refresh"),
        min_free_bytes=0,
        collect=lambda: None,
    )
