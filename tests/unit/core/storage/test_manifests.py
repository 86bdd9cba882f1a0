"""Manifests: a sealed folder verifies, and any change to it is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain.errors import CorruptError
from core.storage import manifests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "part").mkdir(parents=True)
    (folder / "delta.bin").write_bytes(b"delta")
    (folder / "part" / "canary.bin").write_bytes(b"canary")
    return folder


def test_a_sealed_folder_verifies_and_returns_its_manifest(folder: Path) -> None:
    sha256 = manifests.seal(folder, {"schema_version": 1})

    manifest = manifests.verify(folder, sha256=sha256)

    assert manifest["schema_version"] == 1
    assert [file["name"] for file in manifest["files"]] == ["delta.bin", "part/canary.bin"]
    assert manifests.sha256_of(folder / manifests.NAME) == sha256


def test_the_same_content_has_the_same_identity(folder: Path) -> None:
    assert manifests.seal(folder, {"a": 1, "b": 2}) == manifests.seal(folder, {"b": 2, "a": 1})


def test_a_folder_without_a_manifest_is_not_complete(folder: Path) -> None:
    assert not manifests.is_complete(folder)
    with pytest.raises(CorruptError, match="never completed"):
        manifests.verify(folder)


def _flip_a_byte(folder: Path) -> None:
    (folder / "delta.bin").write_bytes(b"dexta")


def _lose_a_file(folder: Path) -> None:
    (folder / "delta.bin").unlink()


def _add_a_file(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"pickle")


def _link_a_file(folder: Path) -> None:
    (folder / "delta.bin").unlink()
    (folder / "delta.bin").symlink_to("/etc/hostname")


def _garble_the_manifest(folder: Path) -> None:
    (folder / manifests.NAME).write_bytes(b"{")


def _list_the_manifest(folder: Path) -> None:
    (folder / manifests.NAME).write_bytes(b"[]")


def _list_a_foreign_file(folder: Path) -> None:
    (folder / manifests.NAME).write_bytes(manifests.encode({"files": [{"name": "../x", "bytes": 1, "sha256": "0"}]}))


def _list_nothing(folder: Path) -> None:
    (folder / manifests.NAME).write_bytes(b"{}")


@pytest.mark.parametrize(
    "damage",
    [
        _flip_a_byte,
        _lose_a_file,
        _add_a_file,
        _link_a_file,
        _garble_the_manifest,
        _list_the_manifest,
        _list_a_foreign_file,
        _list_nothing,
    ],
)
def test_any_damage_is_found(folder: Path, damage: Callable[[Path], None]) -> None:
    manifests.seal(folder, {})

    damage(folder)

    with pytest.raises(CorruptError):
        manifests.verify(folder)


def test_another_manifest_than_the_published_one_is_found(folder: Path) -> None:
    published = manifests.seal(folder, {"value": 1})
    manifests.seal(folder, {"value": 2})

    with pytest.raises(CorruptError, match="not the one"):
        manifests.verify(folder, sha256=published)
