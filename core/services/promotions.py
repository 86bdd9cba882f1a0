"""Which version answers under which name: promotion, rollback, and taking versions away."""

from dataclasses import dataclass
from typing import Final

from core.domain.errors import ConflictError, InvalidError, Place, PreconditionError
from core.domain.records import Alias, Model, Version
from core.domain.versions import VersionState
from core.registry import aliases, jobs, models
from core.registry import versions as version_rows
from core.registry.work import Work
from core.services import gates, versions
from core.services.chains import is_ready
from core.services.naming import require_model, require_name

LATEST: Final = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a user asks of an alias.

    Attributes:
        version: what it shall name: a number, ``name@3``, ``name:alias`` or a version's id; None for the parent of
            what it names now.
        expected: id of the version that it must name now; None takes any.
    """

    version: str | None
    reason: str
    expected: str | None = None


def promote(work: Work, *, project_id: str, model: str, alias: str, promotion: Promotion) -> Alias:
    """Let an alias name another ready version of its model; an unknown alias is created. To its own version is no move.

    Raises:
        MissingError: ``model_not_found``, ``version_not_found`` or ``alias_not_found``.
        InvalidError: ``invalid_name``, or the version is another model's.
        PreconditionError: the alias names another version than expected.
        ConflictError: ``wrong_state``: the version, or one that it stands on, is not ready.
    """
    require_name(alias, loc=("alias",))
    owner = require_model(work, project_id=project_id, reference=model)
    models.lock(work, owner.id)
    current = aliases.find(work, model_id=owner.id, name=alias)
    _require_expected(current, promotion.expected)
    target = _target(work, owner, current, promotion.version)
    if not is_ready(work, target):
        raise ConflictError(f"the version cannot answer: {why_not_ready(target)}", code="wrong_state")
    if current is not None and current.version_id == target.id:
        return current
    return aliases.point(work, name=alias, at=target, actor=work.actor, reason=promotion.reason)


def rollback(work: Work, *, project_id: str, model: str, promotion: Promotion) -> Alias:
    """Let `latest` name an earlier (or any other ready) version; the next task starts from there.

    Raises:
        As `promote`; ConflictError also when there is nothing before ``model@0``.
    """
    return promote(work, project_id=project_id, model=model, alias=LATEST, promotion=promotion)


def remove_alias(work: Work, *, project_id: str, model: str, alias: str, expected: str | None = None) -> Alias:
    """Remove an alias, and return what it was.

    Raises:
        MissingError: ``model_not_found`` or ``alias_not_found``.
        ConflictError: ``alias_required``: it is `latest`, where tasks start.
        PreconditionError: the alias names another version than expected.
    """
    owner = require_model(work, project_id=project_id, reference=model)
    models.lock(work, owner.id)
    found = versions.require_alias(work, project_id=project_id, model=owner.id, alias=alias)
    if alias == LATEST:
        raise ConflictError("latest is where tasks start: a model always has it", code="alias_required")
    _require_expected(found, expected)
    aliases.remove(work, found, actor=work.actor, reason="deleted")
    return found


def delete(work: Work, *, project_id: str, reference: str) -> Version:
    """Delete a version that nothing needs; its number is not given again. Its files go with the next sweep.

    Raises:
        MissingError: ``version_not_found``, ``model_not_found`` or ``alias_not_found``.
        ConflictError: ``version_in_use``: an alias names it, a version or an open job stands on it, or it is the base.
    """
    found = versions.resolve(work, project_id=project_id, reference=reference)
    models.lock(work, found.model_id)
    found = version_rows.get(work, found.id)
    if found.state is VersionState.DELETED:
        return found
    if use := _use_of(work, found):
        raise ConflictError(f"the version cannot be deleted: {use}", code="version_in_use")
    return version_rows.move(work, found, to=VersionState.DELETED, actor=work.actor, reason="deleted")


def why_not_ready(version: Version) -> str:
    """Return in words why a version cannot answer, of one that cannot."""
    if version.state is VersionState.READY:
        return "a version of its chain is not ready"
    if version.state is VersionState.REJECTED:
        return f"the gate rejected it ({gates.why(version)}); its whole report is the version's `gate`"
    return f"it is {version.state}"


def _require_expected(current: Alias | None, expected: str | None) -> None:
    if expected is not None and (current is None or current.version_id != expected):
        now = current.version_id if current else "nothing"
        raise PreconditionError(f"the alias now names {now}")


def _target(work: Work, owner: Model, current: Alias | None, reference: str | None) -> Version:
    if reference is None:
        return _parent_of_current(work, current)
    if reference.isascii() and reference.isdigit():
        reference = f"{owner.id}@{reference}"
    target = versions.resolve(work, project_id=owner.project_id, reference=reference)
    if target.model_id != owner.id:
        places = [Place(loc=("version",), message="is a version of another model")]
        raise InvalidError("an alias names versions of its own model", places=places)
    return target


def _parent_of_current(work: Work, current: Alias | None) -> Version:
    named = version_rows.get(work, current.version_id) if current else None
    if named is None or named.parent_id is None:
        raise ConflictError("there is no version before the one that is named now", code="wrong_state")
    return version_rows.get(work, named.parent_id)


def _use_of(work: Work, version: Version) -> str | None:
    """Return who needs the version, in words; None if nobody does."""
    if version.number == 0:
        return "it is the base of its model"
    named = [alias.name for alias in aliases.of_model(work, version.model_id) if alias.version_id == version.id]
    if named:
        return f"the alias {named[0]} names it"
    if version_rows.is_built_upon(work, version.id):
        return "another version stands on it"
    if jobs.any_starting_from(work, version.id):
        return "a job that is not over starts from it"
    return None
