"""A version's chain: the artefacts that are added to its base model, in order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.domain.records import Version
from core.domain.versions import VersionState
from core.registry import versions
from core.registry.versions import Link
from core.registry.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDelta:
    """One artefact of a chain; ``artefact`` is its key in the ArtefactStore."""

    version_id: str
    artefact: str
    manifest_sha256: str


def deltas(work: Work, version: Version) -> tuple[ChainDelta, ...]:
    """Return the artefacts of a version's chain; empty for ``model@0``."""
    return artefacts(work, version.chain)


def without(work: Work, version: Version, *, left_out: Collection[str]) -> tuple[str, ...]:
    """Return the links of a version's chain that did not learn one of the tasks ``left_out``, in order."""
    links = versions.links(work, version.chain) if left_out else {}
    return tuple(link for link in version.chain if not left_out or links[link].task_id not in left_out)


def artefacts(work: Work, version_ids: Sequence[str]) -> tuple[ChainDelta, ...]:
    """Return the artefacts of some published versions, in their order."""
    found = versions.links(work, version_ids)
    return tuple(delta_of(found[version_id]) for version_id in version_ids)


def delta_of(link: Link) -> ChainDelta:
    """Return the artefact of a link: of every version but the base."""
    return ChainDelta(version_id=link.id, artefact=str(link.artefact), manifest_sha256=str(link.manifest_sha256))


def is_ready(work: Work, version: Version) -> bool:
    """Return whether a version and every link of its chain are ready: a corrupt link spoils all that stand on it."""
    links = versions.links(work, {version.id, *version.chain}).values()
    return all(link.state is VersionState.READY for link in links)
