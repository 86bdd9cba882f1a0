"""The versions that answer now: a table that any thread may read while one thread changes it."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.serving import clone
from core.serving.loading import LiveVersion


class VersionStore:
    """Live versions by id, and the one that answers for each ``<model id>:<alias>``.

    A change is the assignment of one reference: a reader sees the table before it or after it, and whoever took a
    version keeps it. `put`, `flip`, `retain` and `evict` are called by one thread only.
    """

    def __init__(self) -> None:
        self._live: Mapping[str, LiveVersion] = MappingProxyType({})
        self._aliases: Mapping[str, LiveVersion] = MappingProxyType({})
        self._used: dict[str, float] = {}
        self._unique_bytes = 0

    def get(self, reference: str) -> LiveVersion | None:
        """Return the version that answers for ``<model id>:<alias>`` or a version's id, if it is live."""
        version = self._aliases.get(reference) or self._live.get(reference)
        if version is not None:
            self._used[version.version_id] = time.monotonic()
        return version

    def answers(self, reference: str) -> LiveVersion | None:
        """Return what `get` does, without counting it as a use."""
        return self._aliases.get(reference) or self._live.get(reference)

    def put(self, version: LiveVersion) -> None:
        """Make a version live; no alias points at it yet."""
        self._used[version.version_id] = time.monotonic()
        self._live = MappingProxyType({**self._live, version.version_id: version})
        self._count()

    def flip(self, reference: str, version: LiveVersion) -> None:
        """Let ``version`` answer for ``reference`` from now on."""
        self._aliases = MappingProxyType({**self._aliases, reference: version})

    def retain(self, references: set[str]) -> None:
        """Forget the aliases that are not in ``references``."""
        if not references.issuperset(self._aliases):
            kept = {name: version for name, version in self._aliases.items() if name in references}
            self._aliases = MappingProxyType(kept)

    def evict(self, *, memory_bytes: int) -> None:
        """Drop the versions that were not asked for the longest until the rest fits, those without an alias first."""
        aliased = {version.version_id for version in self._aliases.values()}
        order = sorted(self._live, key=lambda version_id: (version_id in aliased, self._used[version_id]))
        excess = self.unique_bytes() - memory_bytes
        doomed = set()
        for version_id in order:
            if excess <= 0:
                break
            excess -= self._live[version_id].own_bytes
            if self._live[version_id].own_bytes:
                doomed.add(version_id)
        if doomed:
            self._forget(doomed)

    def live(self) -> list[LiveVersion]:
        """Return the live versions."""
        return list(self._live.values())

    def describe(self) -> list[dict[str, Any]]:
        """Return the live versions and their aliases as JSON."""
        aliases = self._aliases
        return [
            {
                "version_id": version.version_id,
                "model_id": version.model_id,
                "aliases": sorted(name.partition(":")[2] for name, held in aliases.items() if held is version),
                "own_bytes": version.own_bytes,
            }
            for version in self.live()
        ]

    def unique_bytes(self) -> int:
        """Return the bytes of all tensors of the live versions, shared ones counted once."""
        return self._unique_bytes

    def _forget(self, version_ids: set[str]) -> None:
        kept = {name: version for name, version in self._aliases.items() if version.version_id not in version_ids}
        self._aliases = MappingProxyType(kept)
        self._live = MappingProxyType({key: live for key, live in self._live.items() if key not in version_ids})
        for version_id in version_ids:
            self._used.pop(version_id, None)
        self._count()

    def _count(self) -> None:
        self._unique_bytes = clone.storage_bytes(version.module for version in self.live())
