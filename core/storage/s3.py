"""Artefacts and datasets in a bucket of S3 or of any server that speaks its protocol.

An object is durable once the server has answered, and no object is ever half there; so what makes a folder complete is
the same as on disk: its manifest is written last and removed first.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from core.domain.errors import CorruptError, MissingError, UnavailableError
from core.domain.identifiers import new_id
from core.storage import durable, manifests
from core.storage.artefacts import KINDS, PIECE_BYTES, require_key
from core.storage.blobs import LocalBlobStore

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
# <kind>/<project>/<model>/<manifest sha256>
_KEY_PARTS: Final = 4
# What one call may delete, by S3's own rule.
_DELETED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the prefix below which everything of one installation lies."""

    client: Any
    name: str
    prefix: str

    @classmethod
    def open(cls, url: str, *, endpoint_url: str | None = None) -> Self:
        """Return the bucket of ``s3://<bucket>[/<prefix>]``; credentials come from boto3's own usual places.

        Args:
            url: of the bucket.
            endpoint_url: of a server other than AWS's.
        """
        import boto3
        from botocore.config import Config

        name, _, prefix = url.removeprefix("s3://").partition("/")
        retries = {"mode": "standard", "max_attempts": 5}
        config = Config(retries=retries, connect_timeout=5, read_timeout=60)
        client = boto3.client("s3", endpoint_url=endpoint_url or None, config=config)
        return cls(client, name, f"{prefix.strip('/')}/" if prefix.strip("/") else "")

    def upload(self, file: Path, key: str) -> None:
        """Store a file under ``key``, in parts where it is large.

        Raises (like every call here):
            UnavailableError: the object store is away, or refuses its service.
        """
        with _translated():
            self.client.upload_file(str(file), self.name, self.prefix + key)

    def download(self, key: str, target: Path) -> None:
        """Put the object of ``key`` at ``target``.

        Raises:
            MissingError: there is none.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with _translated():
            self.client.download_file(self.name, self.prefix + key, str(target))

    def stream(self, key: str, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes ``first`` to ``last``, both included, of the object of ``key``, in pieces.

        Raises:
            MissingError: there is none.
        """
        with _translated():
            found = self.client.get_object(Bucket=self.name, Key=self.prefix + key, Range=f"bytes={first}-{last}")
        return _pieces(found["Body"])

    def keys(self, below: str) -> Iterator[str]:
        """Yield the keys that begin with ``below``, without the installation's prefix."""
        yield from (key for key, _ in self.written(below))

    def written(self, below: str) -> Iterator[tuple[str, float]]:
        """Yield the keys that begin with ``below`` with the time, in seconds since the epoch, of their last writing."""
        for item in self._listed("list_objects_v2", "Contents", self.prefix + below):
            yield str(item["Key"]).removeprefix(self.prefix), item["LastModified"].timestamp()

    def abort_uploads(self, *, older_than_seconds: float) -> Iterator[str]:
        """End uploads in parts that began so long ago; the server keeps their parts, unlisted, until somebody does."""
        latest = time.time() - older_than_seconds
        for item in self._listed("list_multipart_uploads", "Uploads", self.prefix):
            if str(item["Key"]).startswith(self.prefix) and item["Initiated"].timestamp() <= latest:
                with _translated():
                    self.client.abort_multipart_upload(Bucket=self.name, Key=item["Key"], UploadId=item["UploadId"])
                yield str(item["Key"]).removeprefix(self.prefix)

    def delete(self, keys: list[str]) -> None:
        """Remove objects; those that are absent are no error."""
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            doomed = [{"Key": self.prefix + key} for key in keys[first : first + _DELETED_AT_ONCE]]
            with _translated():
                self.client.delete_objects(Bucket=self.name, Delete={"Objects": doomed, "Quiet": True})

    def _listed(self, operation: str, member: str, prefix: str) -> Iterator[Any]:
        with _translated():
            for page in self.client.get_paginator(operation).paginate(Bucket=self.name, Prefix=prefix):
                yield from page.get(member, ())


def _pieces(body: Any) -> Iterator[bytes]:
    with _translated(), closing(body):
        yield from body.iter_chunks(PIECE_BYTES)


@contextmanager
def _translated() -> Iterator[None]:
    """Give the library's errors their domain words. What was refused may be granted later: a bucket's rules change."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        # Of an upload that failed, the library tells in words of its own what the server had answered.
        refusal = error if isinstance(error, ClientError) else error.__context__
        if not isinstance(refusal, ClientError):
            raise UnavailableError(f"the object store does not answer ({type(error).__name__})") from error
        code = str(refusal.response.get("Error", {}).get("Code", "unknown"))
        if code in _MISSING:
            raise MissingError("the object is not stored", code="artefact_not_found") from error
        raise UnavailableError(f"the object store refused: {code}") from error


class S3ArtefactStore:
    """The `core.domain.ports.ArtefactStore` of a bucket.

    Args:
        bucket: where the folders go, below ``artefacts/``.
        scratch: a local folder for what is being checked.
    """

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        self._bucket = bucket
        self._scratch = scratch

    def publish(self, folder: Path, *, key: str) -> None:
        """Upload the sealed ``folder`` under ``key``, manifest last; the same content again is no error.

        Raises:
            CorruptError: ``folder`` does not match its manifest, or ``key`` holds other content.
        """
        manifests.verify(folder)
        identity = manifests.sha256_of(folder / manifests.NAME)
        stored = self._manifest_sha256(key)
        if stored is None:
            for name in manifests.file_names(folder):
                self._bucket.upload(folder / name, _object(key, name))
            self._bucket.upload(folder / manifests.NAME, _object(key, manifests.NAME))
            stored = self._manifest_sha256(key)
        if stored != identity:
            raise CorruptError("another artefact is stored under this key")

    def fetch(self, key: str, *, target: Path) -> None:
        """Download the folder of ``key`` to ``target`` and verify every file.

        Raises:
            MissingError: there is no such artefact.
            CorruptError: it does not match its manifest.
        """
        self._bucket.download(_object(key, manifests.NAME), target / manifests.NAME)
        for name in manifests.file_names(target):
            try:
                self._bucket.download(_object(key, name), target / name)
            except MissingError as error:
                raise CorruptError(f"the artefact's file {name!r} is missing") from error
        manifests.verify(target)

    def stream(self, key: str, name: str, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes ``first`` to ``last``, both included, of one file of ``key``, in pieces.

        Raises:
            MissingError: there is no such file.
        """
        return self._bucket.stream(_object(key, name), first=first, last=last)

    def delete(self, key: str) -> None:
        """Remove ``key`` and all below it; no error when it is absent."""
        below = f"{_object(key, '')}"
        found = list(self._bucket.keys(below))
        # Complete or absent: what has lost its manifest is no artefact any more.
        self._bucket.delete([name for name in found if name.endswith(f"/{manifests.NAME}")])
        self._bucket.delete(found)

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the keys of versions and exports of which no object was written for so long."""
        written: dict[str, float] = {}
        for name, at in (entry for kind in KINDS for entry in self._bucket.written(f"artefacts/{kind}/")):
            # Of a version's files some lie in folders of its own.
            key = "/".join(name.split("/")[1 : 1 + _KEY_PARTS])
            written[key] = max(at, written.get(key, 0.0))
        latest = time.time() - older_than_seconds
        yield from sorted(key for key, at in written.items() if at <= latest)

    def abort_uploads(self, *, older_than_seconds: float) -> Iterator[str]:
        """End uploads in parts that began so long ago; yield the name of each file, once its parts are gone."""
        yield from self._bucket.abort_uploads(older_than_seconds=older_than_seconds)

    def _manifest_sha256(self, key: str) -> str | None:
        copy = self._scratch / new_id("get")
        try:
            self._bucket.download(_object(key, manifests.NAME), copy)
            return hashlib.sha256(copy.read_bytes()).hexdigest()
        except MissingError:
            return None
        finally:
            copy.unlink(missing_ok=True)


class S3BlobStore:
    """The `core.domain.ports.BlobStore` of a bucket, with a local folder as its cache."""

    def __init__(self, bucket: Bucket, cache: Path) -> None:
        self._bucket = bucket
        self._cache = LocalBlobStore(cache)
        self._folder = cache

    def path(self, sha256: str) -> Path:
        """Return a readable local path of the blob, downloaded and checked if it is not in the cache.

        Raises:
            MissingError: there is no such blob.
            CorruptError: what is stored has another hash.
        """
        try:
            return self._cache.path(sha256)
        except MissingError:
            return self._downloaded(sha256)

    def adopt(self, file: Path, *, sha256: str) -> None:
        """Take over ``file`` (already hashed) as the blob of ``sha256``, durably; ``file`` is gone afterwards."""
        self._bucket.upload(file, f"blobs/{sha256}")
        self._cache.adopt(file, sha256=sha256)

    def delete(self, sha256: str) -> None:
        """Remove the blob; no error when it is absent."""
        self._cache.delete(sha256)
        self._bucket.delete([f"blobs/{sha256}"])

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the hashes of the blobs that were stored longer ago."""
        latest = time.time() - older_than_seconds
        yield from (name.removeprefix("blobs/") for name, at in self._bucket.written("blobs/") if at <= latest)

    def _downloaded(self, sha256: str) -> Path:
        durable.make_folder(self._folder)
        copy = self._folder / f".{new_id('get')}"
        try:
            self._bucket.download(f"blobs/{sha256}", copy)
            if manifests.sha256_of(copy) != sha256:
                raise CorruptError("a stored dataset does not have the hash that it is named by")
            self._cache.adopt(copy, sha256=sha256)
        except MissingError as error:
            raise MissingError("the dataset's content is not stored here", code="blob_not_found") from error
        finally:
            copy.unlink(missing_ok=True)
        return self._cache.path(sha256)


def _object(key: str, name: str) -> str:
    return f"artefacts/{require_key(key)}/{name}"
