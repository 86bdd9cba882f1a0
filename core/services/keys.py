"""Keys: made, shown once, asked at every call, revoked."""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

from core.domain import access
from core.domain.access import Caller, Scope
from core.domain.errors import InvalidError, MissingError, Place, UnauthenticatedError, UnavailableError
from core.domain.records import ApiKey, Page
from core.registry import events, keys
from core.registry.pages import Cursor, Order
from core.registry.work import Registry, Work
from core.services.naming import require_name

# A key that is used all day costs one write in so many milliseconds.
NOTED_WITHIN_MS: Final = 5 * 60 * 1000
_MS: Final = 1000


def create(
    work: Work, *, project_id: str, name: str, scopes: Collection[Scope], expires_in_seconds: int | None = None
) -> tuple[ApiKey, str]:
    """Make a key of a project; return what is kept of it, and the key itself, which nobody can ask for again.

    Raises:
        InvalidError: ``invalid_name``, or it would open nothing.
    """
    require_name(name)
    if not scopes:
        places = [Place(loc=("scopes",), message="name at least one")]
        raise InvalidError("a key without a scope opens nothing", places=places)
    key = access.mint()
    made = keys.add(
        work,
        sha256=access.sha256_of(key),
        project_id=project_id,
        name=name,
        hint=access.hint_of(key),
        scopes=sorted(set(scopes)),
        expires_ms=None if expires_in_seconds is None else work.now_ms() + expires_in_seconds * _MS,
    )
    told = {"name": name, "scopes": list(made.scopes)}
    events.append(work, subject_id=made.id, project_id=project_id, kind="created", actor=work.actor, data=told)
    return made, key


def authenticate(registry: Registry, *, key: str) -> Caller:
    """Return who holds ``key``, by the registry as it is now.

    Raises:
        UnauthenticatedError: nobody does, or no longer; a key with a wrong checksum is not even looked up.
    """
    if not access.is_whole(key):
        raise _unknown()
    with registry.read() as work:
        match = keys.match(work, sha256=access.sha256_of(key), noted_within_ms=NOTED_WITHIN_MS)
    if match is None:
        raise _unknown()
    if match.is_use_due:
        # It is a note: a registry that cannot be written to just now shall not turn a caller away.
        with suppress(UnavailableError), registry.write() as work:
            keys.note_use(work, str(match.caller.key_id))
    return match.caller


def require_valid(work: Work, caller: Caller) -> None:
    """Check again what may have changed since the call began: for answers that take their time.

    Raises:
        UnauthenticatedError: the caller's key was revoked or has expired.
    """
    if caller.key_id is not None and not keys.is_valid(work, caller.key_id):
        raise _unknown()


def any_exist(work: Work) -> bool:
    """Return whether a key was ever made; revoking the last one does not open the door again."""
    return keys.any_exist(work)


def page(
    work: Work, *, project_id: str, limit: int = 20, after: str | None = None, order: Order = "desc"
) -> Page[ApiKey]:
    """Return the project's keys but for the revoked ones."""
    return keys.page(work, project_id=project_id, cursor=Cursor(limit, after, order))


def revoke(work: Work, *, project_id: str, key_id: str) -> ApiKey:
    """End a key; return what it was.

    Raises:
        MissingError: ``key_not_found``: also for one that was revoked before.
    """
    found = keys.find(work, project_id=project_id, key_id=key_id)
    if found is None:
        raise MissingError("there is no such key", code="key_not_found")
    keys.revoke(work, found.id)
    events.append(work, subject_id=found.id, project_id=project_id, kind="revoked", actor=work.actor)
    return found


def _unknown() -> UnauthenticatedError:
    return UnauthenticatedError("the key opens nothing: it is unknown, expired or revoked")
