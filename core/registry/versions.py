"""Rows of `version` and `version_chain`."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, func, insert, or_, select, update

from core.domain.errors import ConflictError
from core.domain.records import Page, Version
from core.domain.versions import VersionState, advance
from core.registry import events
from core.registry.pages import Cursor, fetch
from core.registry.rows import columns
from core.registry.tables import MODEL, VERSION, VERSION_CHAIN
from core.registry.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a chain must know of one of its versions: not that one's own chain, nor what the gate said of it."""

    id: str
    state: VersionState
    task_id: str | None
    artefact: str | None
    manifest_sha256: str | None


# What is counted of versions, see `core.registry.tallies`.
PUBLISHED: Final = "versions_published"
MOVED: Final = "version_moves"
_ROWS = select(*columns(VERSION, Version, without=frozenset({"chain"})))
_LINKS: Final = select(*columns(VERSION, Link)).where(VERSION.c.id.in_(bindparam("ids", expanding=True)))
_SIZE: Final = VERSION.c.delta["size_bytes"].as_integer()
_OF_MODEL: Final = _ROWS.where(VERSION.c.model_id == bindparam("model_id"))


def _chains(work: Work, version_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    query = (
        select(VERSION_CHAIN.c.version_id, VERSION_CHAIN.c.delta_version_id)
        .where(VERSION_CHAIN.c.version_id.in_(version_ids))
        .order_by(VERSION_CHAIN.c.version_id, VERSION_CHAIN.c.position)
    )
    found = defaultdict[str, list[str]](list)
    for row in work.connection.execute(query):
        found[row.version_id].append(row.delta_version_id)
    return {version_id: tuple(found[version_id]) for version_id in version_ids}


def _built(row: Row[Any], chain: tuple[str, ...]) -> Version:
    return Version(**row._asdict() | {"state": VersionState(row.state), "chain": chain})


def _all(work: Work, rows: Iterable[Row[Any]]) -> tuple[Version, ...]:
    found = list(rows)
    chains = _chains(work, [row.id for row in found])
    return tuple(_built(row, chains[row.id]) for row in found)


def _one(work: Work, *match: ColumnElement[bool]) -> Version | None:
    found = _all(work, work.connection.execute(_ROWS.where(*match)))
    return found[0] if found else None


def add(work: Work, version: Version, *, actor: str) -> Version:
    """Insert a version and its chain; return it with the database's time."""
    now_ms = work.now_ms()
    values = {column.name: getattr(version, column.name) for column in _ROWS.selected_columns}
    work.connection.execute(insert(VERSION).values(values | {"created_ms": now_ms}))
    links = [
        {"project_id": version.project_id, "version_id": version.id, "position": position, "delta_version_id": link}
        for position, link in enumerate(version.chain)
    ]
    if links:
        work.connection.execute(insert(VERSION_CHAIN), links)
        work.count(PUBLISHED, version.state)
    _tell(work, version, before=None, actor=actor, data={"number": version.number})
    return get(work, version.id)


def get(work: Work, version_id: str) -> Version:
    """Return a version that another row refers to."""
    return _all(work, [work.connection.execute(_ROWS.where(VERSION.c.id == version_id)).one()])[0]


def find(work: Work, version_id: str) -> Version | None:
    """Return the version of an id, whatever its project."""
    return _one(work, VERSION.c.id == version_id)


def find_number(work: Work, *, model_id: str, number: int) -> Version | None:
    """Return ``model@number``."""
    return _one(work, VERSION.c.model_id == model_id, VERSION.c.number == number)


def by_id(work: Work, version_ids: Collection[str]) -> dict[str, Version]:
    """Return some versions by their ids."""
    rows = work.connection.execute(_ROWS.where(VERSION.c.id.in_(version_ids)))
    return {version.id: version for version in _all(work, rows)}


def links(work: Work, version_ids: Collection[str]) -> dict[str, Link]:
    """Return some versions as links of a chain, by their ids: it costs the same for each, however long its own chain."""
    rows = work.connection.execute(_LINKS, {"ids": list(version_ids)})
    return {row.id: Link(**row._asdict() | {"state": VersionState(row.state)}) for row in rows}


def delta_sizes(work: Work, model_id: str) -> tuple[int, int]:
    """Return how many versions of a model have a delta, and the bytes of the largest one; 0 where there is none."""
    query = select(func.count(_SIZE), func.coalesce(func.max(_SIZE), 0)).where(VERSION.c.model_id == model_id)
    n, largest = work.connection.execute(query).one()
    return n, largest


def of_model(work: Work, model_id: str) -> tuple[Version, ...]:
    """Return every version of a model, by number."""
    query = _ROWS.where(VERSION.c.model_id == model_id).order_by(VERSION.c.number)
    return _all(work, work.connection.execute(query))


def is_built_upon(work: Work, version_id: str) -> bool:
    """Return whether a version that is not deleted has this one as its parent or in its chain."""
    inside = select(VERSION_CHAIN.c.version_id).where(VERSION_CHAIN.c.delta_version_id == version_id)
    query = select(VERSION.c.id).where(
        or_(VERSION.c.parent_id == version_id, VERSION.c.id.in_(inside)),
        VERSION.c.id != version_id,
        VERSION.c.state != VersionState.DELETED,
    )
    return work.connection.execute(query.limit(1)).first() is not None


def needed_artefacts(work: Work) -> set[str]:
    """Return the keys of all artefacts in the chains of living models' versions that are not deleted."""
    whole = (
        select(VERSION_CHAIN.c.delta_version_id)
        .join(VERSION, VERSION.c.id == VERSION_CHAIN.c.version_id)
        .join(MODEL, MODEL.c.id == VERSION.c.model_id)
        .where(VERSION.c.state != VersionState.DELETED, MODEL.c.deleted_ms.is_(None))
    )
    return {str(key) for key in work.connection.scalars(select(VERSION.c.artefact).where(VERSION.c.id.in_(whole)))}


def page(work: Work, *, model_id: str, cursor: Cursor) -> Page[Version]:
    """Return versions of a model."""
    found = fetch(work, _OF_MODEL, VERSION, cursor=cursor, build=lambda row: row, model_id=model_id)
    return Page(data=_all(work, found.data), has_more=found.has_more)


def move(work: Work, version: Version, *, to: VersionState, actor: str, reason: str) -> Version:
    """Change a version's state by compare-and-swap; an event tells it.

    Raises:
        IllegalMoveError: there is no such move.
        ConflictError: another caller was faster.
    """
    match = (VERSION.c.id == version.id, VERSION.c.state == version.state)
    swap = update(VERSION).where(*match).values(state=advance(version.state, to=to))
    if work.connection.execute(swap).rowcount != 1:
        raise ConflictError("the version changed at the same moment; look again", code="wrong_state")
    moved = get(work, version.id)
    work.count(MOVED, to)
    _tell(work, moved, before=version.state, actor=actor, data={"reason": reason})
    return moved


def _tell(work: Work, version: Version, *, before: VersionState | None, actor: str, data: dict[str, Any]) -> None:
    events.append(
        work,
        subject_id=version.id,
        project_id=version.project_id,
        kind=events.STATE,
        actor=actor,
        moved=(before, version.state),
        fence=version.fence,
        data=data,
    )
