"""Garbage collection: what crashes, lost leases and deletions left on the disks, once it is old enough.

Never touched: what an alias, a chain or a ready version needs, what a job that is not over needs, what is young.
Nothing here depends on the order or on the end: breaking off anywhere leaves less garbage and no damage.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from core.domain.errors import StrataError
from core.domain.job_folder import JobFolder
from core.domain.ports import ArtefactStore, BlobStore, CheckpointStore
from core.registry.work import Registry
from core.services import retention
from core.services.retention import JobFolderUse
from core.storage import durable

log = structlog.get_logger()

EVERY_SECONDS: Final = 3600.0
_STAMP: Final = ".collected"
# A query names each of them.
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Who collects, and from where.

    Attributes:
        scratch: folders whose entries are temporary: uploads that are under way, artefacts being copied.
        older_than_seconds: what was written to since is left alone.
        checkpoints: where they are kept for other machines, if they are.
    """

    registry: Registry
    artefacts: ArtefactStore
    blobs: BlobStore
    jobs_dir: Path
    scratch: tuple[Path, ...]
    older_than_seconds: float
    checkpoints: CheckpointStore | None = None

    def __call__(self) -> None:
        """Collect, if no worker of this machine has within the hour; what goes wrong is tried again then."""
        stamp = self.jobs_dir / _STAMP
        if stamp.is_file() and time.time() - stamp.stat().st_mtime < EVERY_SECONDS:
            return
        try:
            stamp.touch()
            removed = list(self.collect())
        except (StrataError, OSError) as error:
            log.warning("garbage.failed", error=str(error))
            return
        if removed:
            log.info("garbage.removed", things=len(removed))

    def collect(self) -> Iterator[str]:
        """Remove what is garbage, thing by thing; name each once it is gone."""
        yield from self._scratch()
        yield from self._blobs()
        yield from self._artefacts()
        yield from self._checkpoints()
        yield from self._job_folders()

    def _scratch(self) -> Iterator[str]:
        for folder in self.scratch:
            for entry in sorted(folder.glob("*")):
                if self._is_old(entry):
                    _remove(entry)
                    yield f"scratch {entry.name}"

    def _blobs(self) -> Iterator[str]:
        stale = list(self.blobs.stale(older_than_seconds=self.older_than_seconds))
        with self.registry.read() as work:
            doomed = retention.unnamed_contents(work, stale)
        for sha256 in sorted(doomed):
            with self.registry.write() as work:
                if not retention.may_remove_content(work, sha256):
                    continue
                self.blobs.delete(sha256)
            yield f"blob {sha256}"

    def _artefacts(self) -> Iterator[str]:
        stale = list(self.artefacts.stale(older_than_seconds=self.older_than_seconds))
        with self.registry.read() as work:
            doomed = retention.unnamed_artefacts(work, stale)
        for key in sorted(doomed):
            with self.registry.write() as work:
                if not retention.may_remove_artefact(work, key):
                    continue
                self.artefacts.delete(key)
            yield f"artefact {key}"
        for name in self.artefacts.abort_uploads(older_than_seconds=self.older_than_seconds):
            yield f"upload {name}"

    def _checkpoints(self) -> Iterator[str]:
        """Remove those of jobs that ended without a worker, or while the store was away."""
        if self.checkpoints is None:
            return
        stale = list(self.checkpoints.stale(older_than_seconds=self.older_than_seconds))
        for first in range(0, len(stale), _ASKED_AT_ONCE):
            with self.registry.read() as work:
                uses = retention.uses_of_job_folders(work, stale[first : first + _ASKED_AT_ONCE])
            for job_id in (job_id for job_id, use in uses.items() if use is not JobFolderUse.ALL):
                self.checkpoints.delete(job_id)
                yield f"checkpoints {job_id}"

    def _job_folders(self) -> Iterator[str]:
        old = [root for root in sorted(self.jobs_dir.glob("job_*")) if self._is_old(root)]
        for first in range(0, len(old), _ASKED_AT_ONCE):
            yield from self._of_jobs(old[first : first + _ASKED_AT_ONCE])

    def _of_jobs(self, roots: list[Path]) -> Iterator[str]:
        with self.registry.read() as work:
            uses = retention.uses_of_job_folders(work, [root.name for root in roots])
        for root in roots:
            for doomed in _of_no_use(root, uses[root.name]):
                durable.remove_tree(doomed)
                yield f"job folder {doomed.relative_to(self.jobs_dir)}"

    def _is_old(self, entry: Path) -> bool:
        inside = entry.iterdir() if entry.is_dir() else ()
        try:
            written: float = max(path.stat().st_mtime for path in (entry, *inside))
        except FileNotFoundError:
            # Whoever uses it is at work this moment.
            return False
        return time.time() - written >= self.older_than_seconds


def _of_no_use(root: Path, use: JobFolderUse) -> list[Path]:
    if use is JobFolderUse.ALL:
        return []
    if use is JobFolderUse.NOTHING:
        return [root]
    attempts = [JobFolder(attempt) for attempt in sorted(root.iterdir())]
    bulky = [
        part
        for folder in attempts
        for part in (folder.data, folder.chain, folder.out, folder.checkpoints, folder.copies)
    ]
    return [part for part in bulky if part.is_dir()]


def _remove(entry: Path) -> None:
    if entry.is_dir():
        durable.remove_tree(entry)
    else:
        entry.unlink(missing_ok=True)
