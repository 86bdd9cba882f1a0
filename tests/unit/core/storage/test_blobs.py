"""The local blob store: a file adopted is a file kept."""

import hashlib
from pathlib import Path

import pytest

from core.domain.errors import MissingError
from core.storage.blobs import LocalBlobStore

CONTENT = b'{"text": "a"}\n'
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def test_an_adopted_file_moves_into_the_store(store: LocalBlobStore, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(CONTENT)

    store.adopt(upload, sha256=SHA256)

    assert store.path(SHA256).read_bytes() == CONTENT
    assert not upload.exists()


def test_adopting_the_same_content_twice_keeps_one_file(store: LocalBlobStore, tmp_path: Path) -> None:
    for _ in range(2):
        upload = tmp_path / "upload"
        upload.write_bytes(CONTENT)
        store.adopt(upload, sha256=SHA256)

    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [SHA256]


def test_a_deleted_blob_is_missing_and_deleting_again_is_no_error(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(CONTENT)
    store.adopt(tmp_path / "upload", sha256=SHA256)

    store.delete(SHA256)
    store.delete(SHA256)

    with pytest.raises(MissingError):
        store.path(SHA256)


def test_what_is_no_hash_never_becomes_a_path(store: LocalBlobStore) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.path("../registry.sqlite")
