"""Whether this API can serve: every part is asked, and those it cannot do without decide."""

import errno
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Final

from api.context import Context
from core.domain.errors import MissingError, NoRoomError, Place, StrataError, UnavailableError
from core.registry import schema
from core.storage import space
from migrations.commands import revisions

OK: Final = "ok"
# Without the registry no call can be answered. Without the storage uploads cannot, without the engine generation: the
# rest goes on, and whoever balances the load must not take that away too.
ESSENTIAL: Final = ("registry", "schema")
_NOBODYS: Final = "0" * 64


def parts(context: Context) -> dict[str, str]:
    """Return each part with `ok`, or with the code of what is wrong with it.

    Raises:
        UnavailableError: ``registry_unavailable`` or ``schema_behind``: this API cannot serve.
    """
    asked: dict[str, Callable[[Context], None]] = {
        "registry": _registry,
        "schema": _schema,
        "storage": _storage,
    }
    found = {"api": OK}
    for part, check in asked.items():
        try:
            check(context)
        except StrataError as error:
            if part in ESSENTIAL:
                raise UnavailableError(
                    error.detail, code=error.code, places=[Place(loc=(part,), message=error.detail)]
                ) from error
            found[part] = error.code
        else:
            found[part] = OK
    return found | _engines(context)


def _engines(context: Context) -> dict[str, str]:
    """Return whether anybody answers, and where there are several, how each of them is."""
    each = {name: standing.fault or OK for name, standing in context.generator.standings().items()}
    told = {"engine": OK if OK in each.values() else next(iter(each.values()))}
    return told if len(each) == 1 else told | {f"engine {name}": fault for name, fault in each.items()}


def _registry(context: Context) -> None:
    with context.registry.read() as work:
        work.now_ms()


def _schema(context: Context) -> None:
    """Check that the tables are those of this release; those of a later one may be there already, while it is rolled out."""
    with context.registry.read() as work:
        found = schema.revision(work)
    newest, *older = revisions()
    if found is None or found in older:
        detail = f"the registry is at revision {found or 0} and this release needs {newest}: run `python -m migrations`"
        raise UnavailableError(detail, code="schema_behind")


def _storage(context: Context) -> None:
    """Check that a file can be written where uploads arrive, with room to spare, and that the store of datasets answers."""
    uploads = context.settings.uploads_dir
    try:
        uploads.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=uploads) as probe:
            probe.write(b"ready?")
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoRoomError("nothing more can be written") from error
        raise UnavailableError("nothing can be written", code="storage_unavailable") from error
    space.require_free(uploads, expected_bytes=0, reserve_bytes=context.settings.min_free_bytes)
    try:
        context.blobs.path(_NOBODYS)
    except MissingError:
        return
