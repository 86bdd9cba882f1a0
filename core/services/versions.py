"""Versions, as their users see them; publication is in `publication`, the engine's view in `serving`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from core.domain.errors import MissingError
from core.domain.gate_report import Verdict
from core.domain.records import Alias, AliasMove, Page, Version
from core.registry import aliases as alias_rows
from core.registry import models, tasks
from core.registry import versions as version_rows
from core.registry.pages import Cursor, Order
from core.registry.work import Work
from core.services import gates
from core.services.naming import require_model
from core.services.publication import mark_corrupt, publish
from core.services.serving import ServedVersion, Serving, servable, serving

__all__ = [
    "LineageEntry",
    "ServedVersion",
    "Serving",
    "alias_history",
    "aliases",
    "get",
    "is_reference",
    "lineage",
    "mark_corrupt",
    "page",
    "publish",
    "require_alias",
    "resolve",
    "servable",
    "serving",
    "verdicts",
]

_VERSION_ID: Final = "ver_"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEntry:
    """One node of a model's task graph."""

    version: Version
    task_name: str | None
    aliases: tuple[str, ...]


def get(work: Work, *, project_id: str, version_id: str) -> Version:
    """Return a version by its id.

    Raises:
        MissingError: ``version_not_found``.
    """
    found = version_rows.find(work, version_id)
    living = found and models.find(work, project_id=project_id, reference=found.model_id)
    if found is None or living is None:
        raise MissingError("there is no such version", code="version_not_found")
    return found


def page(
    work: Work, *, project_id: str, model: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[Version]:
    """Return the versions of one model (name or id)."""
    found = require_model(work, project_id=project_id, reference=model)
    return version_rows.page(work, model_id=found.id, cursor=Cursor(limit, after, order))


def is_reference(reference: str) -> bool:
    """Return whether ``reference`` can only mean a version, as ``name@3``, ``name:alias`` or its id."""
    return reference.startswith(_VERSION_ID) or "@" in reference or ":" in reference


def resolve(work: Work, *, project_id: str, reference: str) -> Version:
    """Return what ``name`` (its `latest`), ``name@3``, ``name:alias`` or a version's id means; names may be ids.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found`` or ``alias_not_found``.
    """
    if reference.startswith(_VERSION_ID):
        return get(work, project_id=project_id, version_id=reference)
    if "@" in reference:
        name, _, number = reference.rpartition("@")
        return _numbered(work, project_id=project_id, model=name, number=number)
    name, _, alias = reference.partition(":")
    found = require_alias(work, project_id=project_id, model=name, alias=alias or "latest")
    return version_rows.get(work, found.version_id)


def lineage(work: Work, *, project_id: str, model: str) -> tuple[LineageEntry, ...]:
    """Return every version of a model with its task and aliases, by number."""
    found = require_model(work, project_id=project_id, reference=model)
    everything = version_rows.of_model(work, found.id)
    named = tasks.by_id(work, [version.task_id for version in everything if version.task_id])
    pointers = alias_rows.of_model(work, found.id)
    return tuple(
        LineageEntry(
            version=version,
            task_name=named[version.task_id].name if version.task_id else None,
            aliases=tuple(alias.name for alias in pointers if alias.version_id == version.id),
        )
        for version in everything
    )


def aliases(work: Work, *, project_id: str, model: str) -> tuple[Alias, ...]:
    """Return the aliases of a model by name.

    Raises:
        MissingError: ``model_not_found``.
    """
    return alias_rows.of_model(work, require_model(work, project_id=project_id, reference=model).id)


def alias_history(work: Work, *, project_id: str, model: str, alias: str) -> tuple[AliasMove, ...]:
    """Return an alias's moves, oldest first.

    Raises:
        MissingError: ``model_not_found`` or ``alias_not_found``.
    """
    found = require_alias(work, project_id=project_id, model=model, alias=alias)
    return alias_rows.history(work, model_id=found.model_id, name=found.name)


def verdicts(work: Work, version_ids: Collection[str]) -> dict[str, Verdict | None]:
    """Return what the gate said of some versions, by their ids; None of what it was not asked about."""
    return {each.id: gates.verdict_of(each) for each in version_rows.by_id(work, version_ids).values()}


def require_alias(work: Work, *, project_id: str, model: str, alias: str) -> Alias:
    """Return an alias of a model (name or id).

    Raises:
        MissingError: ``model_not_found`` or ``alias_not_found``.
    """
    owner = require_model(work, project_id=project_id, reference=model)
    found = alias_rows.find(work, model_id=owner.id, name=alias)
    if found is None:
        raise MissingError("the model has no such alias", code="alias_not_found")
    return found


def _numbered(work: Work, *, project_id: str, model: str, number: str) -> Version:
    owner = require_model(work, project_id=project_id, reference=model)
    # At most 18 digits: what both databases can hold. Only ASCII digits count: "²" is a digit to Python too.
    counts = number.isascii() and number.isdigit() and len(number) < 19  # noqa: PLR2004 - see above
    found = version_rows.find_number(work, model_id=owner.id, number=int(number)) if counts else None
    if found is None:
        raise MissingError("the model has no such version", code="version_not_found")
    return found
