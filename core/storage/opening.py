"""The stores that an installation's settings name: a local folder, or a bucket."""

from pathlib import Path

from core.domain.ports import ArtefactStore, BlobStore, CheckpointStore
from core.storage.artefacts import LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from core.storage.checkpoints import S3CheckpointStore
from core.storage.s3 import Bucket, S3ArtefactStore, S3BlobStore


def artefact_store(folder: Path, *, storage_url: str, endpoint_url: str) -> ArtefactStore:
    """Return the store of published folders; with an empty ``storage_url`` they lie in ``folder``."""
    if not storage_url:
        return LocalArtefactStore(folder)
    return S3ArtefactStore(Bucket.open(storage_url, endpoint_url=endpoint_url), scratch=folder)


def blob_store(folder: Path, *, storage_url: str, endpoint_url: str) -> BlobStore:
    """Return the store of datasets; with a ``storage_url`` the ``folder`` is its cache."""
    if not storage_url:
        return LocalBlobStore(folder)
    return S3BlobStore(Bucket.open(storage_url, endpoint_url=endpoint_url), cache=folder)


def checkpoint_store(folder: Path, *, storage_url: str, endpoint_url: str) -> CheckpointStore | None:
    """Return where checkpoints are kept for other machines; None without a ``storage_url``: then they stay at home.

    ``folder`` is for what is being checked.
    """
    if not storage_url:
        return None
    return S3CheckpointStore(Bucket.open(storage_url, endpoint_url=endpoint_url), scratch=folder)
