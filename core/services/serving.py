"""What the engine must be able to answer by, over all projects."""

from dataclasses import dataclass

from core.domain.errors import ConflictError, MissingError
from core.domain.records import BaseModel, Json, Version
from core.domain.versions import VersionState
from core.registry import aliases, base_models, events, models, versions
from core.registry.work import Work
from core.services.chains import ChainDelta, delta_of, deltas


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedVersion:
    """A version with all that loading it takes."""

    version: Version
    base_path: str
    base_digest: str
    chain: tuple[ChainDelta, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An alias that must answer, and by what."""

    model_id: str
    alias: str
    served: ServedVersion


def serving(work: Work) -> tuple[Serving, ...]:
    """Return every alias of every living model, of all projects, with what it must answer by.

    A few queries, however many aliases: the engine asks twice a second.
    """
    pointers = aliases.all_living(work)
    pointed = versions.by_id(work, {alias.version_id for alias in pointers})
    links = versions.links(work, {link for version in pointed.values() for link in version.chain})
    owners, bases = models.all_living(work), base_models.all_by_id(work)
    return tuple(
        Serving(
            model_id=alias.model_id,
            alias=alias.name,
            served=_served(
                pointed[alias.version_id],
                bases[owners[alias.model_id].base_model_id],
                tuple(delta_of(links[link]) for link in pointed[alias.version_id].chain),
            ),
        )
        for alias in pointers
        if pointed[alias.version_id].state is VersionState.READY
    )


def servable(work: Work, *, version_id: str) -> ServedVersion:
    """Return one version with all that loading it takes, for the engine.

    Raises:
        MissingError: ``version_not_found``.
        ConflictError: ``wrong_state``: it is not ready.
    """
    found = versions.find(work, version_id)
    owner = models.all_living(work).get(found.model_id) if found else None
    if found is None or owner is None:
        raise MissingError("there is no such version", code="version_not_found")
    require_ready(found)
    return _served(found, base_models.get(work, owner.base_model_id), deltas(work, found))


def note(work: Work, *, version_id: str, kind: str, data: Json) -> None:
    """Record what became of a version where it is served: an event of it.

    Raises:
        MissingError: ``version_not_found``.
    """
    found = versions.find(work, version_id)
    if found is None:
        raise MissingError("there is no such version", code="version_not_found")
    events.append(work, subject_id=found.id, project_id=found.project_id, kind=kind, actor="engine", data=data)


def require_ready(version: Version) -> Version:
    """Return the version if it can answer.

    Raises:
        ConflictError: ``wrong_state``.
    """
    if version.state is not VersionState.READY:
        raise ConflictError(f"the version is {version.state}", code="wrong_state")
    return version


def _served(version: Version, base: BaseModel, chain: tuple[ChainDelta, ...]) -> ServedVersion:
    return ServedVersion(version=version, base_path=str(base.path), base_digest=str(base.digest), chain=chain)
