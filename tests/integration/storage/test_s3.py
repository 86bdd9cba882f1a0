"""Artefacts and datasets in a bucket, against an S3 server on loopback."""

import hashlib
from pathlib import Path

import pytest

from core.domain.errors import CorruptError, MissingError, UnavailableError
from core.storage import manifests
from core.storage.s3 import Bucket, S3ArtefactStore, S3BlobStore

KEY = "versions/prj_default/mdl_1/" + "a" * 64


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> S3ArtefactStore:
    return S3ArtefactStore(bucket, tmp_path / "scratch")


def test_what_is_published_comes_back(store: S3ArtefactStore, folder: Path, tmp_path: Path) -> None:
    store.publish(folder, key=KEY)
    store.publish(folder, key=KEY)
    store.fetch(KEY, target=tmp_path / "chain" / "0")
    assert manifests.hash_files(tmp_path / "chain" / "0") == manifests.hash_files(folder)


def test_other_content_under_a_taken_key_is_refused(store: S3ArtefactStore, folder: Path) -> None:
    store.publish(folder, key=KEY)
    manifests.seal(folder, {"schema_version": 2})
    with pytest.raises(CorruptError):
        store.publish(folder, key=KEY)


def test_a_folder_whose_upload_broke_off_is_not_there_and_can_be_published_again(
    store: S3ArtefactStore, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    bucket.upload(folder / "delta.safetensors", f"artefacts/{KEY}/delta.safetensors")
    with pytest.raises(MissingError):
        store.fetch(KEY, target=tmp_path / "none")
    store.publish(folder, key=KEY)
    store.fetch(KEY, target=tmp_path / "whole")
    assert manifests.verify(tmp_path / "whole")


@pytest.mark.parametrize("damage", [b"\1", None])
def test_damage_is_found_on_the_way_out(
    store: S3ArtefactStore, bucket: Bucket, folder: Path, tmp_path: Path, damage: bytes | None
) -> None:
    store.publish(folder, key=KEY)
    bucket.delete([f"artefacts/{KEY}/delta.safetensors"])
    if damage is not None:
        (tmp_path / "other").write_bytes(bytes(999) + damage)
        bucket.upload(tmp_path / "other", f"artefacts/{KEY}/delta.safetensors")
    with pytest.raises(CorruptError):
        store.fetch(KEY, target=tmp_path / "chain")


def test_deleting_removes_everything_below_and_nothing_else(
    store: S3ArtefactStore, bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    longer = KEY + "b"
    store.publish(folder, key=KEY)
    store.publish(folder, key=longer)
    store.delete(KEY)
    store.delete(KEY)
    with pytest.raises(MissingError):
        store.fetch(KEY, target=tmp_path / "gone")
    store.fetch(longer, target=tmp_path / "kept")
    assert {key.rsplit("/", 2)[0] for key in bucket.keys("artefacts/")} <= {
        f"artefacts/{longer}",
        f"artefacts/{longer.rsplit('/', 1)[0]}",
    }


def test_a_dataset_is_read_anew_where_it_is_not_cached(bucket: Bucket, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"rows\n").hexdigest()
    (tmp_path / "upload").write_bytes(b"rows\n")
    S3BlobStore(bucket, tmp_path / "api").adopt(tmp_path / "upload", sha256=sha256)
    worker = S3BlobStore(bucket, tmp_path / "worker")
    assert worker.path(sha256).read_bytes() == b"rows\n"
    assert sorted(path.name for path in (tmp_path / "worker").iterdir()) == [sha256]
    worker.delete(sha256)
    with pytest.raises(MissingError):
        S3BlobStore(bucket, tmp_path / "other").path(sha256)


def test_a_dataset_that_was_changed_is_refused_and_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"rows\n").hexdigest()
    (tmp_path / "forged").write_bytes(b"other\n")
    bucket.upload(tmp_path / "forged", f"blobs/{sha256}")
    with pytest.raises(CorruptError):
        S3BlobStore(bucket, tmp_path / "worker").path(sha256)
    assert list((tmp_path / "worker").iterdir()) == []


def test_what_was_not_written_to_for_long_is_told_complete_or_not(
    store: S3ArtefactStore, bucket: Bucket, folder: Path
) -> None:
    half = KEY.replace("mdl_1", "mdl_2")
    store.publish(folder, key=KEY)
    bucket.upload(folder / "delta.safetensors", f"artefacts/{half}/delta.safetensors")

    assert list(store.stale(older_than_seconds=0)) == [KEY, half]
    assert list(store.stale(older_than_seconds=3600)) == []

    for key in store.stale(older_than_seconds=0):
        store.delete(key)
    assert list(bucket.keys("")) == []


def test_a_part_of_a_file_is_streamed(store: S3ArtefactStore, folder: Path) -> None:
    (folder / "adapter" / "config.json").write_text('{"r": 8}')
    manifests.seal(folder, {"schema_version": 1})
    store.publish(folder, key=KEY.replace("versions", "exports"))
    key = KEY.replace("versions", "exports")
    assert b"".join(store.stream(key, "adapter/config.json", first=2, last=4)) == b'r":'
    assert len(b"".join(store.stream(key, "delta.safetensors", first=0, last=999))) == 1000
    with pytest.raises(MissingError):
        store.stream(key, "nothing", first=0, last=1)
    assert list(store.stale(older_than_seconds=0)) == [key]


def test_uploads_that_broke_off_in_the_middle_of_a_file_are_ended(store: S3ArtefactStore, bucket: Bucket) -> None:
    begun = {"Bucket": bucket.name, "Key": f"{bucket.prefix}artefacts/{KEY}/delta.safetensors"}
    upload = bucket.client.create_multipart_upload(**begun)["UploadId"]
    bucket.client.upload_part(**begun, UploadId=upload, PartNumber=1, Body=b"half of it")
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="of/another/installation")

    # This server says of every upload that it began in 2010.
    assert list(store.abort_uploads(older_than_seconds=100 * 366 * 24 * 3600)) == []
    assert list(store.abort_uploads(older_than_seconds=0)) == [f"artefacts/{KEY}/delta.safetensors"]
    assert list(store.abort_uploads(older_than_seconds=0)) == []
    left = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["of/another/installation"]


def test_a_store_that_is_away_or_refuses_is_said_to_be_unavailable(
    bucket: Bucket, folder: Path, tmp_path: Path
) -> None:
    refusing = S3ArtefactStore(Bucket(bucket.client, "no-such-bucket-anywhere", ""), tmp_path)
    with pytest.raises(UnavailableError, match="NoSuchBucket"):
        refusing.publish(folder, key=KEY)
    silent = S3BlobStore(Bucket.open(f"s3://{bucket.name}", endpoint_url="http://127.0.0.1:9"), tmp_path / "blobs")
    with pytest.raises(UnavailableError, match="EndpointConnectionError"):
        silent.path("0" * 64)
