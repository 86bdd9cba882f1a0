"""The local artefact store: complete or absent, the same bytes back, never a path of the caller's making."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.domain.errors import CorruptError, MissingError
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore

KEY = "versions/prj_default/mdl_1/" + "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "delta.safetensors").write_bytes(bytes(1000))
    manifests.seal(folder, {"schema_version": 1})
    return folder


@pytest.fixture
def store(tmp_path: Path) -> LocalArtefactStore:
    return LocalArtefactStore(tmp_path / "artefacts")


def test_what_is_published_comes_back(store: LocalArtefactStore, folder: Path, tmp_path: Path) -> None:
    store.publish(folder, key=KEY)
    store.fetch(KEY, target=tmp_path / "chain" / "0")

    assert manifests.hash_files(tmp_path / "chain" / "0") == manifests.hash_files(folder)


def test_publishing_the_same_again_is_no_error(store: LocalArtefactStore, folder: Path) -> None:
    store.publish(folder, key=KEY)
    store.publish(folder, key=KEY)

    assert manifests.verify(store.path(KEY))


def test_publishing_other_content_under_a_taken_key_is_refused(store: LocalArtefactStore, folder: Path) -> None:
    store.publish(folder, key=KEY)
    manifests.seal(folder, {"schema_version": 2})

    with pytest.raises(CorruptError):
        store.publish(folder, key=KEY)


def test_two_publishers_of_the_same_content_both_succeed(store: LocalArtefactStore, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.publish(folder, key=KEY), range(16)))

    assert manifests.verify(store.path(KEY))


def test_an_incomplete_folder_is_never_published(store: LocalArtefactStore, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()

    with pytest.raises(CorruptError):
        store.publish(tmp_path / "half", key=KEY)
    with pytest.raises(MissingError):
        store.path(KEY)


def test_damage_is_found_on_the_way_out(store: LocalArtefactStore, folder: Path, tmp_path: Path) -> None:
    store.publish(folder, key=KEY)
    (store.path(KEY) / "delta.safetensors").write_bytes(bytes(999) + b"\1")

    with pytest.raises(CorruptError):
        store.fetch(KEY, target=tmp_path / "chain")


def test_deleting_removes_and_deleting_again_is_no_error(store: LocalArtefactStore, folder: Path) -> None:
    store.publish(folder, key=KEY)
    store.delete(KEY)
    store.delete(KEY)

    with pytest.raises(MissingError):
        store.path(KEY)


@pytest.mark.parametrize("key", ["../x", "/etc", "a//b", "a/../b", "", ".staging/x", "a\n"])
def test_a_key_that_is_a_path_is_refused(store: LocalArtefactStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        store.delete(key)


def test_a_part_of_a_file_is_streamed(store: LocalArtefactStore, folder: Path) -> None:
    (folder / "delta.safetensors").write_bytes(bytes(range(200)) * 10_000)
    manifests.seal(folder, {"schema_version": 1})
    store.publish(folder, key=KEY)
    content = (folder / "delta.safetensors").read_bytes()
    assert b"".join(store.stream(KEY, "delta.safetensors", first=7, last=1_999_999)) == content[7:]
    assert b"".join(store.stream(KEY, "delta.safetensors", first=5, last=5)) == content[5:6]
    for key, name in ((KEY, "nothing"), (KEY.replace("versions", "exports"), "delta.safetensors")):
        with pytest.raises(MissingError):
            store.stream(key, name, first=0, last=1)
