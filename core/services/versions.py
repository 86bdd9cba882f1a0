"""Versions: published once, immutable, named by numbers and aliases."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.job_folder import ScoreEvent
from core.domain.manifest import Manifest
from core.domain.records import Alias, AliasMove, Json, Page, Version
from core.registry.pages import Order
from core.registry.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedDelta:
    """One artefact of a chain; ``artefact`` is its key in the ArtefactStore."""

    version_id: str
    artefact: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedVersion:
    """A version with all that loading it takes."""

    version: Version
    base_path: str
    base_digest: str
    chain: tuple[ServedDelta, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An alias that must answer, and by what."""

    model_id: str
    alias: str
    served: ServedVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEntry:
    """One node of a model's task graph."""

    version: Version
    task_name: str | None
    aliases: tuple[str, ...]


def publish(  # noqa: PLR0913 - one transaction, six facts
    work: Work, *, job_id: str, fence: int, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str
) -> Version:
    """Make a finished `train` job's version visible: the job, version, chain, scores and alias move together or not.

    ``artefact`` is the key under which the folder already lies, ``versions/<project>/<model>/<manifest sha256>``.
    `latest` follows only if it still names the job's parent.

    Raises:
        LostLeaseError: another worker holds the job now.
        ConflictError: ``cancel_requested``, or ``parent_conflict``: the parent is no longer ready.
        CorruptError: the manifest is another job's.
    """
    raise NotImplementedError


def get(work: Work, *, project_id: str, version_id: str) -> Version:
    """Return a version by its id.

    Raises:
        MissingError: ``version_not_found``.
    """
    raise NotImplementedError


def page(  # noqa: PLR0913 - filters and a cursor
    work: Work, *, project_id: str, model: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Version]:
    """Return the versions of one model (name or id)."""
    raise NotImplementedError


def resolve(work: Work, *, project_id: str, reference: str) -> Version:
    """Return what ``name`` (its `latest`), ``name@3``, ``name:alias`` or a version's id means; names may be ids.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found`` or ``alias_not_found``.
    """
    raise NotImplementedError


def lineage(work: Work, *, project_id: str, model: str) -> tuple[LineageEntry, ...]:
    """Return every version of a model with its task and aliases, by number."""
    raise NotImplementedError


def aliases(work: Work, *, project_id: str, model: str) -> tuple[Alias, ...]:
    """Return the aliases of a model by name."""
    raise NotImplementedError


def alias_history(work: Work, *, project_id: str, model: str, alias: str) -> tuple[AliasMove, ...]:
    """Return an alias's moves, oldest first.

    Raises:
        MissingError: ``model_not_found`` or ``alias_not_found``.
    """
    raise NotImplementedError




def serving(work: Work) -> tuple[Serving, ...]:
    """Return every alias of every living model, of all projects, with what it must answer by."""
    raise NotImplementedError


def servable(work: Work, *, version_id: str) -> ServedVersion:
    """Return one version with all that loading it takes, for the engine.

    Raises:
        MissingError: ``version_not_found``.
        ConflictError: ``wrong_state``: it is not ready.
    """
    raise NotImplementedError


def mark_corrupt(work: Work, *, version_id: str, reason: str) -> Version:
    """Take a version that failed verification out of service: its aliases return to the last ready ancestor.

    Marking it again changes nothing.

    Raises:
        MissingError: ``version_not_found``.
        IllegalMoveError: it is deleted, or it is ``model@0``.
    """
    raise NotImplementedError
