"""A model that was exported and imported answers as it did: the same chain, digest and canary, under new ids."""

import os
import shutil
from pathlib import Path

import torch
from stage import PROJECT
from typer.testing import CliRunner

from api.lineages import app
from core.serving.loading import VersionLoader
from core.storage.artefacts import LocalArtefactStore
from tests.integration.engine.conftest import Studio


def test_an_imported_version_is_loaded_with_the_same_logits(studio: Studio, database_url: str, tmp_path: Path) -> None:
    studio.model("desk")
    studio.learn("desk", "task-1", seed=1)
    studio.learn("desk", "task-2", seed=2)
    surroundings = dict(os.environ) | {
        "STRATA_DATABASE_URL": database_url,
        "STRATA_DATA_DIR": str(studio.shelf.root),
    }
    for words in (("export", "desk", str(tmp_path / "away")), ("import", str(tmp_path / "away"), "--name", "guest")):
        told = CliRunner().invoke(app, words, env=surroundings, catch_exceptions=False)
        assert told.exit_code == 0, told.output

    def logits(model: str) -> torch.Tensor:
        servable = studio.servable(studio.head(model).id)
        store = LocalArtefactStore(studio.shelf.artefacts_dir)
        loader = VersionLoader(artefacts=store, cache=tmp_path / f"cache-{model}", device=torch.device("cpu"))
        loaded = loader.load(servable)
        with torch.no_grad():
            return loaded.module(torch.arange(8).unsqueeze(0)).logits

    before = logits("desk")
    old, new = studio.head("desk"), studio.head("guest")
    assert (old.number, old.digest, old.manifest_sha256) == (new.number, new.digest, new.manifest_sha256)
    assert {old.id, *old.chain}.isdisjoint({new.id, *new.chain})
    shutil.rmtree(studio.shelf.artefacts_dir / "versions" / PROJECT / old.model_id)
    assert torch.equal(logits("guest"), before)
