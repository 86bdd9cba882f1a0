"""Follows one alias: a new version becomes a merged snapshot, then server after server answers by it.

On failure every server goes back to the version before, which answers meanwhile, and an event of the version says so.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from core.domain.errors import CorruptError, StrataError
from core.serving.servable import Assignment, Servable
from core.serving.snapshots import Snapshots
from worker.compute.vllm.fleet import FleetServer

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 60.0
PUBLISHED: Final = "servers_changed"
FAILED: Final = "servers_not_changed"


class Ledger(Protocol):
    """The registry, as the publisher sees it."""

    def assignments(self) -> Sequence[Assignment]:
        """Return every alias of every living model."""

    def mark_corrupt(self, version_id: str, reason: str) -> None:
        """Take a version that failed verification out of service."""

    def note(self, version_id: str, *, kind: str, data: dict[str, Any]) -> None:
        """Record an event of a version."""


class Publisher:
    """One thread runs `run`.

    Args:
        ledger: the registry.
        follows: the alias, as ``<model id>:<alias>``.
        snapshots: where merged versions go.
        servers: who answers for the alias.
        retry_seconds: after a failure.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        follows: str,
        snapshots: Snapshots,
        servers: Sequence[FleetServer],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._follows = follows
        self._snapshots = snapshots
        self._servers = tuple(servers)
        self._retry_seconds = retry_seconds
        self._holds_until: dict[str, float] = {}
        self._last: str | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def poke(self) -> None:
        """Look at the registry now rather than at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after what it is doing."""
        self._stopped.set()
        self._wake.set()

    def run(self, *, poll_seconds: float) -> None:
        """Follow the alias until `stop`."""
        for server in self._servers:
            server.recognise()
        held = {server.held.version_id for server in self._servers} - {None}
        self._last = held.pop() if len(held) == 1 else None
        while not self._stopped.is_set():
            self._wake.clear()
            self.step()
            self._wake.wait(poll_seconds)

    def step(self) -> None:
        """Look at the registry once, and bring the servers to what the alias names."""
        try:
            named = {each.reference: each.servable for each in self._ledger.assignments()}
        except StrataError as error:
            log.warning("vllm.registry_unavailable", detail=error.detail)
            return
        wanted = named.get(self._follows)
        if wanted is None or time.monotonic() < self._holds_until.get(wanted.version_id, 0):
            return
        behind = [
            server for server in self._servers if server.held.version_id != wanted.version_id or server.is_astray()
        ]
        if behind:
            self._publish(wanted, behind)

    def _publish(self, wanted: Servable, behind: Sequence[FleetServer]) -> None:
        began = time.monotonic()
        folder = self._snapshot(wanted)
        if folder is None:
            return
        for done, server in enumerate(behind):
            try:
                server.change(wanted.version_id, folder)
            except StrataError as error:
                self._failed(wanted, error, server=server.member.name)
                self._go_back(behind[: done + 1])
                return
            log.info("vllm.server_changed", server=server.member.name, version_id=wanted.version_id)
        self._last = wanted.version_id
        self._holds_until.clear()
        self._snapshots.prune({wanted.version_id})
        told = {"servers": [server.member.name for server in behind], "seconds": round(time.monotonic() - began, 3)}
        self._note(wanted, PUBLISHED, told)

    def _snapshot(self, wanted: Servable) -> Path | None:
        try:
            return self._snapshots.write(wanted)
        except (StrataError, OSError) as error:
            self._failed(wanted, error, server=None)
            if isinstance(error, CorruptError):
                self._mark_corrupt(wanted, error.detail)
            return None

    def _go_back(self, servers: Sequence[FleetServer]) -> None:
        """Give servers the version before; what was never published leaves them out of service."""
        before = self._last
        if before is None or not self._snapshots.path(before).is_dir():
            return
        for server in servers:
            try:
                server.change(before, self._snapshots.path(before))
            except StrataError as error:
                log.exception("vllm.server_lost", server=server.member.name, detail=error.detail)

    def _failed(self, wanted: Servable, error: Exception, *, server: str | None) -> None:
        self._holds_until[wanted.version_id] = time.monotonic() + self._retry_seconds
        detail = error.detail if isinstance(error, StrataError) else type(error).__name__
        log.error("vllm.not_published", version_id=wanted.version_id, server=server, detail=detail)
        self._note(wanted, FAILED, {"server": server, "reason": detail, "answers": self._last})

    def _note(self, version: Servable, kind: str, data: dict[str, Any]) -> None:
        try:
            self._ledger.note(version.version_id, kind=kind, data=data)
        except StrataError as error:
            log.warning("vllm.event_lost", kind=kind, detail=error.detail)

    def _mark_corrupt(self, version: Servable, reason: str) -> None:
        try:
            self._ledger.mark_corrupt(version.version_id, reason)
        except StrataError as error:
            log.warning("vllm.mark_corrupt_failed", version_id=version.version_id, detail=error.detail)
