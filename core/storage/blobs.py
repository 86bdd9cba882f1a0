"""Uploaded datasets in a local folder, one file each, named by the SHA-256 of its content."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.domain.errors import MissingError
from core.storage import durable

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


class LocalBlobStore:
    """The `core.domain.ports.BlobStore` of one folder. Files to adopt must lie on the same file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Return a readable local path of the blob.

        Raises:
            MissingError: there is no such blob.
        """
        path = self._place(sha256)
        if not path.is_file():
            raise MissingError("the dataset's content is not stored here", code="blob_not_found")
        return path

    def adopt(self, file: Path, *, sha256: str) -> None:
        """Take over ``file`` (already hashed) as the blob of ``sha256``, durably; ``file`` is gone afterwards."""
        target = self._place(sha256)
        durable.make_folder(self._root)
        durable.sync(file)
        file.chmod(0o444)
        durable.rename(file, target)
        durable.sync(self._root)

    def delete(self, sha256: str) -> None:
        """Remove the blob; no error when it is absent."""
        self._place(sha256).unlink(missing_ok=True)

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the hashes of the blobs that were stored longer ago."""
        latest = time.time() - older_than_seconds
        for path in sorted(self._root.glob("*")):
            if _SHA256.match(path.name) and path.stat().st_mtime <= latest:
                yield path.name

    def _place(self, sha256: str) -> Path:
        if not _SHA256.match(sha256):
            raise ValueError("not the hex digits of a SHA-256")
        return self._root / sha256
