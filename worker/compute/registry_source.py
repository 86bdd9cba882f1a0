"""The registry as the engine's source of versions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.registry.work import Registry
from core.services import serving, versions
from core.services.versions import ServedVersion
from core.serving.servable import Assignment, Link, Servable


class RegistrySource:
    """A `core.serving.servable.VersionSource` over the services."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def assignments(self) -> Sequence[Assignment]:
        """Return every alias of every living model."""
        with self._registry.read() as work:
            told = versions.serving(work)
        return [
            Assignment(model_id=entry.model_id, alias=entry.alias, servable=_servable(entry.served)) for entry in told
        ]

    def servable(self, version_id: str) -> Servable:
        """Return one ready version."""
        with self._registry.read() as work:
            return _servable(versions.servable(work, version_id=version_id))

    def mark_corrupt(self, version_id: str, reason: str) -> None:
        """Take a version that failed verification out of service."""
        with self._registry.write() as work:
            versions.mark_corrupt(work, version_id=version_id, reason=reason)

    def note(self, version_id: str, *, kind: str, data: dict[str, Any]) -> None:
        """Record an event of a version."""
        with self._registry.write() as work:
            serving.note(work, version_id=version_id, kind=kind, data=data)


def _servable(served: ServedVersion) -> Servable:
    return Servable(
        version_id=served.version.id,
        model_id=served.version.model_id,
        base_path=Path(served.base_path),
        base_digest=served.base_digest,
        digest=served.version.digest,
        chain=tuple(
            Link(version_id=link.version_id, artefact=link.artefact, manifest_sha256=link.manifest_sha256)
            for link in served.chain
        ),
    )
