"""The loop that keeps the live versions in step with the registry.

A new version is built and verified beside the old one, then its aliases are flipped; until that moment they answer by
the old version. One that fails verification is reported as corrupt, and the old one goes on answering.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

import structlog

from core.domain.crash_points import crash_point
from core.domain.errors import CorruptError, MissingError, NotReadyError, StrataError, UnavailableError
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.meters import EngineMeters
from core.serving.servable import Assignment, Servable, VersionSource
from core.serving.store import VersionStore

log = structlog.get_logger()

Wanted = dict[str, Future[LiveVersion]]
# What loading may fail with for reasons that pass: disks, networks, a device out of memory (a RuntimeError of torch).
_PASSING: Final = (StrataError, OSError, RuntimeError)
_RETRY_SECONDS: Final = 5.0


class Refresher:
    """Loads versions: those that aliases name, and those that requests ask for by id. One thread runs `run`."""

    def __init__(
        self,
        *,
        store: VersionStore,
        source: VersionSource,
        loader: VersionLoader,
        memory_bytes: int,
        meters: EngineMeters,
    ) -> None:
        self._store = store
        self._meters = meters
        self._source = source
        self._loader = loader
        self._memory_bytes = memory_bytes
        self._failures: dict[str, tuple[float, StrataError]] = {}
        self._wanted: Wanted = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def acquire(self, reference: str, *, timeout_seconds: float) -> LiveVersion:
        """Return the version that answers for ``reference``, loading it first if need be. For any thread but `run`'s.

        Raises:
            MissingError: there is none.
            NotReadyError: it is still loading after ``timeout_seconds``.
            UnavailableError: it cannot be loaded now.
            CorruptError: it failed verification.
        """
        version = self._store.get(reference)
        if version is not None:
            return version
        with self._lock:
            future = self._wanted.setdefault(reference, Future())
        self.poke()
        try:
            return future.result(timeout_seconds)
        except FutureTimeoutError:
            raise NotReadyError("the version is still being loaded", code="version_loading") from None

    def poke(self) -> None:
        """Look at the registry now rather than at the next poll."""
        self._wake.set()

    def run(self, *, poll_seconds: float) -> None:
        """Keep in step with the registry until `stop`."""
        while not self._stopped.is_set():
            self._wake.clear()
            self.step()
            self._wake.wait(poll_seconds)
        for future in self._take_wanted().values():
            future.set_exception(UnavailableError("the engine is stopping"))

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()
        self._wake.set()

    def step(self) -> None:
        """Look at the registry once: load what is new, flip what is ready, answer who waits, drop what is too much."""
        wanted = self._take_wanted()
        try:
            assignments = {assignment.reference: assignment for assignment in self._source.assignments()}
        except StrataError as error:
            log.warning("engine.registry_unavailable", detail=error.detail)
            for future in wanted.values():
                future.set_exception(UnavailableError("the registry cannot be read now"))
            return
        self._follow(assignments, wanted)
        for reference, future in wanted.items():
            try:
                future.set_result(self._wanted_version(reference, assignments))
            except StrataError as error:
                future.set_exception(error)
        self._store.evict(memory_bytes=self._memory_bytes)
        self._prune()

    def _follow(self, assignments: Mapping[str, Assignment], wanted: Wanted) -> None:
        self._store.retain(set(assignments))
        for reference, assignment in assignments.items():
            old = self._store.answers(reference)
            new = self._store.answers(assignment.servable.version_id)
            seen = time.monotonic()
            if new is None and (old is not None or reference in wanted or self._has_room()):
                new = self._try_to_load(assignment.servable)
            if new is not None and new is not old:
                crash_point("flip.before")
                self._store.flip(reference, new)
                crash_point("flip.after")
                seconds = time.monotonic() - seen
                self._meters.flip_seconds.observe(seconds)
                log.info("engine.flipped", reference=reference, version_id=new.version_id, seconds=round(seconds, 3))

    def _wanted_version(self, reference: str, assignments: Mapping[str, Assignment]) -> LiveVersion:
        version = self._store.get(reference)
        if version is not None:
            return version
        if reference in assignments:
            servable = assignments[reference].servable
            failed = self._failures.get(servable.version_id)
            raise UnavailableError("the version cannot be loaded now") if failed is None else failed[1]
        if ":" in reference:
            raise MissingError("no such alias", code="alias_not_found")
        return self._load(self._source.servable(reference))

    def _try_to_load(self, servable: Servable) -> LiveVersion | None:
        failed = self._failures.get(servable.version_id)
        if failed is not None and time.monotonic() < failed[0]:
            return None
        try:
            return self._load(servable)
        except StrataError:
            return None

    def _load(self, servable: Servable) -> LiveVersion:
        """Load a version and make it live.

        Raises:
            CorruptError: it failed verification, and the registry was told.
            UnavailableError: it could not be loaded now.
        """
        started = time.monotonic()
        try:
            version = self._loader.load(servable)
        except _PASSING as error:
            raise self._failed(servable, error) from error
        self._failures.pop(servable.version_id, None)
        self._store.put(version)
        seconds = round(time.monotonic() - started, 3)
        log.info("engine.loaded", version_id=version.version_id, seconds=seconds, own_bytes=version.own_bytes)
        return version

    def _failed(self, servable: Servable, error: Exception) -> StrataError:
        log.error("engine.load_failed", version_id=servable.version_id, error=str(error))
        told: StrataError = UnavailableError("the version cannot be loaded now")
        self._meters.load_failures.labels("corrupt" if isinstance(error, CorruptError) else "unavailable").inc()
        if isinstance(error, CorruptError):
            told = error
            self._report(servable.version_id, error.detail)
        self._failures[servable.version_id] = (time.monotonic() + _RETRY_SECONDS, told)
        return told

    def _report(self, version_id: str, reason: str) -> None:
        try:
            self._source.mark_corrupt(version_id, reason)
        except StrataError as error:
            # The registry is away, or this is a base itself: it stays out of service here, and is tried again.
            log.exception("engine.mark_corrupt_failed", version_id=version_id, detail=error.detail)
        else:
            self.poke()

    def _prune(self) -> None:
        try:
            self._loader.prune({sha256 for version in self._store.live() for sha256 in version.chain})
        except OSError as error:
            # It takes room, nothing else; the next step tries again.
            log.warning("engine.prune_failed", error=str(error))

    def _has_room(self) -> bool:
        """Say whether a version as large as the largest live one still fits."""
        largest = max((version.own_bytes for version in self._store.live()), default=0)
        return self._store.unique_bytes() + largest <= self._memory_bytes

    def _take_wanted(self) -> Wanted:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        return wanted
