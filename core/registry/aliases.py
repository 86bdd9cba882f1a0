"""Rows of `alias` and `alias_move`: where names point, and every move they made."""

from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from core.domain.errors import ConflictError
from core.domain.records import Alias, AliasMove, Version
from core.registry import events
from core.registry.rows import columns
from core.registry.tables import ALIAS, ALIAS_MOVE, MODEL
from core.registry.work import Work

_ROWS: Final = select(*columns(ALIAS, Alias))
# Asked at every claim: building a statement takes longer than running it.
_NAMED: Final = _ROWS.where(ALIAS.c.model_id == bindparam("model_id"), ALIAS.c.name == bindparam("name"))


def _built(row: Row[Any]) -> Alias:
    return Alias(**row._asdict())


def _many(work: Work, query: Select[Any]) -> tuple[Alias, ...]:
    return tuple(_built(row) for row in work.connection.execute(query.order_by(ALIAS.c.model_id, ALIAS.c.name)))


def find(work: Work, *, model_id: str, name: str) -> Alias | None:
    """Return a model's alias of a name."""
    row = work.connection.execute(_NAMED, {"model_id": model_id, "name": name}).first()
    return _built(row) if row else None


def of_model(work: Work, model_id: str) -> tuple[Alias, ...]:
    """Return a model's aliases by name."""
    return _many(work, _ROWS.where(ALIAS.c.model_id == model_id))


def all_living(work: Work) -> tuple[Alias, ...]:
    """Return the aliases of every living model, of all projects."""
    return _many(work, _ROWS.join(MODEL, MODEL.c.id == ALIAS.c.model_id).where(MODEL.c.deleted_ms.is_(None)))


def point(work: Work, *, name: str, at: Version, actor: str, reason: str) -> Alias:
    """Move or create an alias of ``at``'s model, with its history. Hold `models.lock` first.

    Raises:
        ConflictError: it moved at the same moment.
    """
    before = find(work, model_id=at.model_id, name=name)
    n = 1 if before is None else before.moves + 1
    values: dict[str, Any] = {"version_id": at.id, "moves": n, "moved_ms": work.now_ms()}
    key: dict[str, Any] = {"project_id": at.project_id, "model_id": at.model_id, "name": name}
    if before is None:
        work.connection.execute(insert(ALIAS).values(**key, **values))
    else:
        match = (ALIAS.c.model_id == at.model_id, ALIAS.c.name == name, ALIAS.c.moves == before.moves)
        if work.connection.execute(update(ALIAS).where(*match).values(**values)).rowcount != 1:
            raise ConflictError("the alias moved at the same moment; look again")
    move = {"from_version_id": before and before.version_id, "to_version_id": at.id, "actor": actor, "reason": reason}
    work.connection.execute(insert(ALIAS_MOVE).values(**key, **move, n=n, at_ms=values["moved_ms"]))
    events.append(
        work,
        subject_id=at.model_id,
        project_id=at.project_id,
        kind="alias_moved",
        actor=actor,
        data={"alias": name, "from": move["from_version_id"], "to": at.id, "reason": reason},
    )
    return Alias(**key, **values)


def remove(work: Work, alias: Alias, *, actor: str, reason: str) -> None:
    """Remove an alias and its history; the model's events go on telling of both. Hold `models.lock` first."""
    for table in (ALIAS_MOVE, ALIAS):
        work.connection.execute(delete(table).where(table.c.model_id == alias.model_id, table.c.name == alias.name))
    events.append(
        work,
        subject_id=alias.model_id,
        project_id=alias.project_id,
        kind="alias_deleted",
        actor=actor,
        data={"alias": alias.name, "from": alias.version_id, "reason": reason},
    )


def history(work: Work, *, model_id: str, name: str) -> tuple[AliasMove, ...]:
    """Return an alias's moves, oldest first."""
    query = select(*columns(ALIAS_MOVE, AliasMove)).where(ALIAS_MOVE.c.model_id == model_id, ALIAS_MOVE.c.name == name)
    return tuple(AliasMove(**row._asdict()) for row in work.connection.execute(query.order_by(ALIAS_MOVE.c.n)))
