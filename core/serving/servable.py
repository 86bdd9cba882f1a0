"""What the engine must know of versions, and the port that tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One delta of a chain: the artefact's key and the SHA-256 of its manifest."""

    version_id: str
    artefact: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Servable:
    """A version and all that loading it takes; ``digest`` is that of its folded tensors."""

    version_id: str
    model_id: str
    base_path: Path
    base_digest: str
    digest: str
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An alias and the version that must answer for it."""

    model_id: str
    alias: str
    servable: Servable

    @property
    def reference(self) -> str:
        """The name by which requests ask for it: ``<model id>:<alias>``."""
        return f"{self.model_id}:{self.alias}"


class VersionSource(Protocol):
    """The registry, as the engine sees it."""

    def assignments(self) -> Sequence[Assignment]:
        """Return every alias of every living model."""

    def servable(self, version_id: str) -> Servable:
        """Return one ready version.

        Raises:
            MissingError: there is none.
            ConflictError: it is not ready.
        """

    def mark_corrupt(self, version_id: str, reason: str) -> None:
        """Take a version that failed verification out of service."""
