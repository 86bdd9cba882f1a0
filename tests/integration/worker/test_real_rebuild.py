"""Leaving a task out through the HTTP door, with the real trainer on a tiny model: one installation for all that is asked."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from doors import Echo
from installation import Installation, prepare
from starlette.testclient import TestClient
from tiny_models import tiny_llama

from api.main import create_app
from core.dispatch.local import LocalDispatcher
from core.domain.manifest import Manifest
from core.registry.work import Registry
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.versions import resolve
from core.settings import Settings
from core.storage import opening
from core.storage.artefacts import LocalArtefactStore
from core.weights import base, fold
from core.weights.delta import Delta

# Training is the same whatever the registry runs on. Each process loads torch, which takes long where many do.
pytestmark = pytest.mark.timeout(400)

SPEC = {
    "method": "jumplora+ella+replay",
    "training": {"max_steps": 8, "batch_size": 4, "learning_rate": 0.01},
    "evaluation": {"max_rows": 4},
}


def rows(task: str) -> bytes:
    lines = ({"text": f"{task} {n}", "label": ("red", "blue")[n % 2]} for n in range(40))
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[TestClient, Installation]]:
    """A model `colours` that learned hue and tint, keeping rows."""
    data = tmp_path_factory.mktemp("real")
    (data / "registry.sqlite").write_bytes(sqlite_template.read_bytes())
    settings = Settings(data_dir=data, min_free_bytes=0, device="cpu", trainer_threads=1)
    with closing(Registry(settings.database_url)) as registry:
        prepare(registry)
        made = Installation(settings, registry, LocalDispatcher())
        made.add_base_model(f"folder:{tiny_llama(data / 'ok')}")
        made.work_off()
        blobs = opening.blob_store(settings.blobs_dir, **settings.storage)
        app = create_app(settings, registry=registry, blobs=blobs, dispatcher=made.dispatcher, generator=Echo())
        with TestClient(app, base_url="http://127.0.0.1:8321") as client:
            body = {"name": "colours", "base_model": "tiny-ok", "method": SPEC, "policy": {"store_rows": True}}
            client.post("/v1/models", json=body).raise_for_status()
            for task in ("hue", "tint"):
                post(client, task)
            made.work_off()
            yield client, made


def post(client: TestClient, task: str) -> None:
    files = {"file": (f"{task}.jsonl", rows(task))}
    client.post("/v1/tasks", data={"model": "colours", "name": task}, files=files).raise_for_status()


def test_a_task_is_left_out_and_the_next_one_learns_without_it(service: tuple[TestClient, Installation]) -> None:
    client, installation = service
    asked = client.post("/v1/models/colours/versions", json={"leave_out": ["hue"]})
    assert asked.status_code == 202, asked.text
    post(client, "tone")
    installation.work_off()

    job = client.get(asked.headers["location"]).json()
    assert (job["state"], job["error"], job["progress"]["percent"]) == ("succeeded", None, 100.0)
    versions = {name: client.get(f"/v1/versions/colours@{name}").json() for name in range(1, 5)}
    rebuilt, after = versions[3], versions[4]
    assert rebuilt["chain"] == [versions[2]["id"], rebuilt["id"]]
    assert after["chain"] == [*rebuilt["chain"], after["id"]]

    # The published digest is that of the others' deltas, folded anew.
    store = LocalArtefactStore(installation.settings.artefacts_dir)
    with installation.registry.read() as work:
        made = {n: resolve(work, project_id=PROJECT, reference=f"colours@{n}") for n in (2, 3)}
    artefacts = {n: store.path(str(version.artefact)) for n, version in made.items()}
    (converted,) = (installation.settings.base_models_dir / "tiny-ok").iterdir()
    loaded = base.load(converted)
    folded = fold.fold(loaded.model, [Delta.load(artefacts[2] / "delta.safetensors")])
    assert loaded.digest_with(folded) == rebuilt["digest"] != versions[2]["digest"]
    manifest = Manifest.model_validate_json((artefacts[3] / "manifest.json").read_bytes())
    assert (manifest.delta.nnz, len(manifest.chain)) == (0, 1)

    comparison = {line["task"]: line for line in rebuilt["rebuild"]["comparison"] if line["metric"] == "exact_match"}
    assert {task: line["left_out"] for task, line in comparison.items()} == {"hue": True, "tint": False}
    for line in comparison.values():
        assert line["low"] <= line["difference"] <= line["high"]
        assert 1 <= line["n_rows"] <= 4
    assert rebuilt["rebuild"]["learned_on_top"] == ["tint"]
    matrix = client.get("/v1/models/colours/evaluations").json()
    assert (matrix["tasks"], matrix["left_out"]) == (["hue", "tint", "tone"], [True, False, False])
    assert matrix["scores"][-1][0] is None
    assert None not in (matrix["oa"], matrix["bwt"], matrix["plasticity"])
