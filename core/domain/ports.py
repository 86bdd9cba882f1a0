"""What the core needs of the world outside, as small protocols."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from core.domain.backends import Offer, Pieces, Question, Standing
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

    def stream(self, key: str, name: str, *, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes ``first`` to ``last``, both included, of one file of ``key``, in pieces."""

    def delete(self, key: str) -> None:
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


class Backend(Protocol):
    """One place that answers: an engine of ours, or a server of somebody else's. Its JSON is the engine's."""

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece."""

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces; the last one of each choice carries its finish reason, the last of all the usage."""

    def look(self) -> Offer:
        """Return what it can answer; raise `core.domain.errors.UnavailableError` if it does not answer now."""

    def metrics(self) -> str:
        """Return what it measures, in Prometheus' text format, if anything; raise as `look`."""


class Generator(Protocol):
    """All backends behind one door, as routes see them."""

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece, as a `Backend`."""

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces, as a `Backend`."""

    def standings(self) -> Mapping[str, Standing]:
        """Return how each backend is, asked now, by its name."""

    def metrics(self) -> Mapping[str, str]:
        """Return what the backends that answer measure, in Prometheus' text format, by their names."""
