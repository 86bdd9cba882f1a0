"""Checkpoints in a bucket: what lets another machine go on with a job from where this one left it.

They are folders like any artefact's, manifest last, under ``checkpoints/<job>/<fence>/step-<n>``: the fence in the key
keeps a claim that was presumed dead from overwriting what its successor wrote.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.domain.job_folder import CheckpointPlace
from core.storage import manifests
from core.storage.s3 import Bucket, S3ArtefactStore

_ROOT: Final = "artefacts/checkpoints/"
_KEY: Final = re.compile(r"(?P<job>[^/]+)/(?P<fence>[0-9]+)/step-(?P<step>[0-9]+)/(?P<file>.+)\Z")


class S3CheckpointStore:
    """The `core.domain.ports.CheckpointStore` of a bucket.

    Args:
        bucket: where the folders go.
        scratch: a local folder for what is being checked.
    """

    def __init__(self, bucket: Bucket, scratch: Path) -> None:
        self._bucket = bucket
        self._folders = S3ArtefactStore(bucket, scratch)

    def save(self, folder: Path, *, job_id: str, place: CheckpointPlace) -> None:
        """Upload a sealed checkpoint, manifest last.

        Raises:
            CorruptError: it does not match its manifest.
            UnavailableError: the object store is away.
        """
        self._folders.publish(folder, key=_key(job_id, place))

    def of_job(self, job_id: str) -> tuple[CheckpointPlace, ...]:
        """Return the job's complete checkpoints, latest first."""
        return _complete(self._places(job_id))

    def fetch(self, job_id: str, place: CheckpointPlace, *, target: Path) -> None:
        """Download a checkpoint to ``target`` and verify every file.

        Raises:
            MissingError: there is none there.
            CorruptError: it does not match its manifest.
        """
        self._folders.fetch(_key(job_id, place), target=target)

    def prune(self, job_id: str, *, keep: int) -> None:
        """Remove the job's checkpoints but for the latest ``keep`` complete ones and what is later than they."""
        places = self._places(job_id)
        kept = _complete(places)[:keep]
        if len(kept) < keep:
            return
        for place in places:
            if place < kept[-1]:
                self._folders.delete(_key(job_id, place))

    def delete(self, job_id: str) -> None:
        """Remove every checkpoint of the job; no error when there is none."""
        self._bucket.delete(list(self._bucket.keys(f"{_ROOT}{job_id}/")))

    def stale(self, *, older_than_seconds: float) -> Iterator[str]:
        """Yield the ids of jobs of whose checkpoints, complete or not, nothing was written for so long."""
        written: dict[str, float] = {}
        for name, at in self._bucket.written(_ROOT):
            job_id = name.removeprefix(_ROOT).partition("/")[0]
            written[job_id] = max(at, written.get(job_id, 0.0))
        latest = time.time() - older_than_seconds
        yield from sorted(job_id for job_id, at in written.items() if at <= latest)

    def _places(self, job_id: str) -> dict[CheckpointPlace, bool]:
        """Return where something of the job lies, and whether it is complete."""
        found: dict[CheckpointPlace, bool] = {}
        for name in self._bucket.keys(f"{_ROOT}{job_id}/"):
            if match := _KEY.match(name.removeprefix(_ROOT)):
                place = CheckpointPlace(fence=int(match["fence"]), step=int(match["step"]))
                found[place] = found.get(place, False) or match["file"] == manifests.NAME
        return found


def _complete(places: dict[CheckpointPlace, bool]) -> tuple[CheckpointPlace, ...]:
    return tuple(sorted((place for place, whole in places.items() if whole), reverse=True))


def _key(job_id: str, place: CheckpointPlace) -> str:
    return f"checkpoints/{job_id}/{place.fence}/{place.name}"
