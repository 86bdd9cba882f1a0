"""Folders that are not what was exported, and imports that cannot be: refused by name, and nothing is left of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from installation import Install, Installation
from moved_models import contents, import_folder

from core.services import projects
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.storage import manifests

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


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
