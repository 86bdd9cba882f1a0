"""Leaving a task out through the HTTP door, with the real trainer on a tiny model: one installation for all that is asked."""

import pytest
from real_service import RealService

from core.domain.manifest import Manifest
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.services.versions import resolve
from core.storage.artefacts import LocalArtefactStore
from core.weights import base, fold
from core.weights.delta import Delta

# Training is the same whatever the registry runs on. Each process loads torch, which takes long where many do.
pytestmark = pytest.mark.timeout(400)


def test_a_task_is_left_out_and_the_next_one_learns_without_it(real_service: RealService) -> None:
    client, installation = real_service.client, real_service.installation
    asked = client.post("/v1/models/colours/versions", json={"leave_out": ["hue"]})
    assert asked.status_code == 202, asked.text
    real_service.post("tone")
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
