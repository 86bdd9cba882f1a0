"""What the core needs of the world outside, as small protocols."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from core.domain.job_folder import CheckpointPlace


class Dispatcher(Protocol):
    """Tells workers that there may be something to claim: a wake-up call, never the truth."""

    def wake(self, job_id: str) -> None:
        """Hint that ``job_id`` is queued. May be lost, late or repeated; never raises for a broker that is away."""


class ArtefactStore(Protocol):
    """Immutable folders under server-minted keys, complete once their manifest is there."""

    def publish(self, folder: Path, *, key: str) -> None:
        """Copy ``folder`` under ``key``, manifest last; publishing the same content again is no error."""

    def fetch(self, key: str, *, target: Path) -> None:
        """Put the folder of ``key`` at ``target`` and verify every file against its manifest."""

    def delete(self, key: str) -> None:
    def stream(self, key: str, name: str, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes ``first`` to ``last``, both included, of one file of ``key``, in pieces."""

        """Remove ``key`` and all below it; no error when it is absent."""

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the keys of versions and exports, complete or not, that were not written to for so long."""

    def abort_uploads(self, *, older_than_seconds: float) -> Iterator[str]:
        """End what broke off in the middle of a file so long ago; yield a name for each, once its bytes are gone."""


class CheckpointStore(Protocol):
    """Checkpoints of jobs where the workers of every machine find them."""

    def save(self, folder: Path, *, job_id: str, place: CheckpointPlace) -> None:
        """Copy a sealed checkpoint, manifest last."""

    def of_job(self, job_id: str) -> tuple[CheckpointPlace, ...]:
        """Return the job's complete checkpoints, latest first."""

    def fetch(self, job_id: str, place: CheckpointPlace, *, target: Path) -> None:
        """Put a checkpoint at ``target`` and verify every file against its manifest."""

    def prune(self, job_id: str, *, keep: int) -> None:
        """Remove the job's checkpoints but for the latest ``keep`` complete ones and what is later than they."""

    def delete(self, job_id: str) -> None:
        """Remove every checkpoint of the job; no error when there is none."""

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the ids of jobs of whose checkpoints nothing was written for so long."""


class BlobStore(Protocol):
    """Content-addressed files: uploaded datasets."""

    def path(self, sha256: str) -> Path:
        """Return a readable local path of the blob."""

    def adopt(self, file: Path, *, sha256: str) -> None:
        """Take over ``file`` (already hashed) as the blob of ``sha256``, durably."""

    def delete(self, sha256: str) -> None:
        """Remove the blob; no error when it is absent."""

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the hashes of the blobs that were stored longer ago."""


class Generator(Protocol):
    """The engine, as the API sees it: JSON in, JSON or server-sent events out."""

    def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer in one piece."""

    def stream(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer in pieces; the last one carries the finish reason and usage."""

    def check(self) -> None:
        """Return if the engine answers; raise `core.domain.errors.UnavailableError` if not."""

    def metrics(self) -> str:
        """Return what the engine measures, in Prometheus' text format; raise as `check`."""
