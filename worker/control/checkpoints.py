"""A job's checkpoints between machines: copied out while it trains, taken over by its next claim, removed at its end.

Without a store for them (artefacts in a local folder) they stay in the job's folder, where the next claim on the same
machine takes them over; then nothing here copies anything.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from core.domain.errors import CorruptError, MissingError, StrataError
from core.domain.job_folder import CheckpointPlace, JobFolder
from core.domain.ports import CheckpointStore
from core.storage import durable, manifests

log = structlog.get_logger()

# The latest, and the one before it should the latest turn out to be damaged.
KEPT: Final = 2
# How long a worker that lets go of a job waits for an upload that is under way; the lease is renewed meanwhile.
PATIENCE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.05


def adopt(folder: JobFolder, *, job_id: str, store: CheckpointStore | None) -> None:
    """Take over the latest whole checkpoint of an earlier claim, from here or from ``store``.

    Whether it fits what is to be trained now is the trainer's to judge.

    Raises:
        UnavailableError: the store is away: starting over would cost more than waiting.
    """
    here = _latest_here(folder)
    places = () if store is None else store.of_job(job_id)
    for place in places:
        if here is not None and place <= here:
            break
        if store is not None and _fetched(store, job_id, place, folder):
            log.info("checkpoint.fetched", job_id=job_id, fence=place.fence, step=place.step)
            return
    if here is not None:
        durable.remove_tree(folder.checkpoints)
        durable.move(_attempt(folder, here.fence).checkpoints, folder.checkpoints)


def forget(store: CheckpointStore | None, *, job_id: str) -> None:
    """Remove the checkpoints of a job that is over; what cannot be removed now is garbage, collected later."""
    if store is None:
        return
    try:
        store.delete(job_id)
    except StrataError as error:
        log.warning("checkpoint.not_removed", job_id=job_id, error=error.detail)


class CheckpointCopies:
    """Copies one claim's checkpoints into a store, on a thread of its own; nothing waits for it unasked.

    While one is being copied the trainer may announce several: the latest of them is next, the others are passed over.
    """

    def __init__(self, store: CheckpointStore | None, *, job_id: str, fence: int, folder: JobFolder) -> None:
        self._store = store
        self._job_id = job_id
        self._fence = fence
        self._folder = folder
        self._next: int | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed, self._next = True, None
            self._changed.notify_all()

    def announce(self, step: int) -> None:
        """Note that the trainer completed the checkpoint of ``step``; returns at once."""
        if self._store is None:
            return
        with self._changed:
            self._next = step
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._store,), name="checkpoints", daemon=True)
            self._thread.start()

    def finish(self, *, unless: Callable[[], bool] = lambda: False, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until all that was announced is copied or has failed, ``unless`` holds or ``seconds`` have passed."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (self._busy or self._next is not None) and time.monotonic() < deadline and not unless():
                self._changed.wait(_LOOK_SECONDS)

    def _run(self, store: CheckpointStore) -> None:
        while (step := self._take()) is not None:
            try:
                self._copy(store, CheckpointPlace(fence=self._fence, step=step))
            except (StrataError, OSError) as error:
                log.warning(
                    "checkpoint.not_copied", job_id=self._job_id, fence=self._fence, step=step, error=str(error)
                )
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _take(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._next is not None)
            step, self._next = self._next, None
            self._busy = step is not None
            return step

    def _copy(self, store: CheckpointStore, place: CheckpointPlace) -> None:
        linked = self._folder.copies / place.name
        try:
            # The trainer removes a checkpoint once it has a later one; a link keeps the bytes until they are copied.
            shutil.copytree(self._folder.checkpoints / place.name, linked, copy_function=os.link)
            store.save(linked, job_id=self._job_id, place=place)
        finally:
            durable.remove_tree(linked)
        log.info("checkpoint.copied", job_id=self._job_id, fence=place.fence, step=place.step)
        store.prune(self._job_id, keep=KEPT)


def _latest_here(folder: JobFolder) -> CheckpointPlace | None:
    """Return the latest whole checkpoint that an earlier claim left on this machine."""
    left = (
        CheckpointPlace(fence=int(found.parent.parent.name), step=int(found.name.removeprefix("step-")))
        for found in folder.root.parent.glob("*/checkpoints/step-*")
        if manifests.is_complete(found)
    )
    earlier = sorted((place for place in left if place.fence < int(folder.root.name)), reverse=True)
    return next((place for place in earlier if _is_whole(_attempt(folder, place.fence), place)), None)


def _attempt(folder: JobFolder, fence: int) -> JobFolder:
    return JobFolder(folder.root.with_name(str(fence)))


def _is_whole(attempt: JobFolder, place: CheckpointPlace) -> bool:
    try:
        manifests.verify(attempt.checkpoints / place.name)
    except CorruptError as error:
        log.warning("checkpoint.unusable", fence=place.fence, step=place.step, error=error.detail)
        return False
    return True


def _fetched(store: CheckpointStore, job_id: str, place: CheckpointPlace, folder: JobFolder) -> bool:
    durable.remove_tree(folder.checkpoints)
    try:
        store.fetch(job_id, place, target=folder.checkpoints / place.name)
    except (CorruptError, MissingError) as error:
        log.warning("checkpoint.unusable", job_id=job_id, fence=place.fence, step=place.step, error=error.detail)
        durable.remove_tree(folder.checkpoints)
        return False
    return True
