"""Whole models: what an export reads that nobody else does, and rows as another registry had them."""

from collections.abc import Collection, Iterable, Iterator
from itertools import count
from typing import Any

from sqlalchemy import Table, insert, select

from core.domain.gate_report import GATE_REJECTED
from core.domain.identifiers import id_at
from core.domain.jobs import JobState
from core.domain.lineage import Lineage, VersionEntry, artefact_key
from core.domain.records import Event, Job
from core.registry import jobs
from core.registry.measure_tables import GENERAL_SCORE, SCORE
from core.registry.rows import columns
from core.registry.tables import ALIAS, ALIAS_MOVE, EVENT, JOB, MODEL, TASK, VERSION, VERSION_CHAIN
from core.registry.work import Work

_Values = dict[str, Any]


def counters(work: Work, model_id: str) -> dict[str, int]:
    """Return where a model's counters stand."""
    query = select(MODEL.c.next_seq, MODEL.c.next_number).where(MODEL.c.id == model_id)
    return dict(work.connection.execute(query).mappings().one())


def published_jobs(work: Work, model_id: str) -> tuple[Job, ...]:
    """Return the jobs that left a model's versions, in the order of their places in the queue."""
    published = select(VERSION.c.job_id).where(VERSION.c.model_id == model_id, VERSION.c.job_id.is_not(None))
    rows = work.connection.execute(jobs.ROWS.where(JOB.c.id.in_(published)).order_by(JOB.c.seq))
    return tuple(jobs.built(row) for row in rows)


def events_of(work: Work, subject_ids: Collection[str]) -> tuple[Event, ...]:
    """Return everything that happened to some subjects, oldest first."""
    query = select(*columns(EVENT, Event)).where(EVENT.c.subject_id.in_(subject_ids)).order_by(EVENT.c.id, EVENT.c.n)
    return tuple(Event(**row._asdict()) for row in work.connection.execute(query))


def restore(work: Work, lineage: Lineage, *, project_id: str, base_model_id: str) -> None:
    """Write a model's rows as the document has them, under its ids; its datasets must be there, and its name free."""
    model = lineage.model
    _insert(work, MODEL, [model.model_dump() | {"project_id": project_id, "base_model_id": base_model_id}])
    owner: _Values = {"project_id": project_id, "model_id": model.id}
    _insert(work, TASK, (each.model_dump() | owner for each in lineage.tasks))
    refused = {each.job_id: each.gate.why for each in lineage.versions if each.gate and each.gate.rejects}
    _insert(work, JOB, (each.model_dump() | owner | _ended(refused.get(each.id)) for each in lineage.jobs))
    for each in lineage.versions:
        # One after another: each refers to its parent.
        _insert(work, VERSION, [_version(each, owner)])
    _insert(work, VERSION_CHAIN, _links(lineage, project_id))
    _insert(work, ALIAS, _aliases(lineage, owner))
    _insert(work, ALIAS_MOVE, _moves(lineage, owner))
    _insert(work, SCORE, (each.model_dump() | {"project_id": project_id} for each in lineage.scores))
    _insert(work, GENERAL_SCORE, (each.model_dump() | {"project_id": project_id} for each in lineage.general_scores))
    turns = count()
    _insert(
        work,
        EVENT,
        (
            each.model_dump()
            | {"project_id": project_id, "id": id_at("evt", ms=each.at_ms, turn=next(turns) % 0x10000)}
            for each in lineage.events
        ),
    )


def _ended(refused: str | None) -> _Values:
    """Return how a job that left a version stands, whose version the gate may have refused."""
    state = JobState.SUCCEEDED if refused is None else JobState.REJECTED
    error = {"error_code": None if refused is None else GATE_REJECTED, "error_detail": refused}
    return {"state": state, "cancel_requested": False, "pause_requested": False, "barren": 0, **error}


def _insert(work: Work, table: Table, rows: Iterable[_Values]) -> None:
    if values := list(rows):
        work.connection.execute(insert(table), values)


def _version(entry: VersionEntry, owner: _Values) -> _Values:
    artefact = entry.manifest_sha256 and artefact_key(**owner, manifest_sha256=entry.manifest_sha256)
    return entry.model_dump(exclude={"chain"}) | owner | {"artefact": artefact}


def _links(lineage: Lineage, project_id: str) -> Iterator[_Values]:
    for entry in lineage.versions:
        for position, link in enumerate(entry.chain):
            key = {"version_id": entry.id, "position": position, "delta_version_id": link}
            yield key | {"project_id": project_id}


def _aliases(lineage: Lineage, owner: _Values) -> Iterator[_Values]:
    for alias in lineage.aliases:
        last = alias.moves[-1]
        place = {"version_id": last.to_version_id, "moves": len(alias.moves), "moved_ms": last.at_ms}
        yield {"name": alias.name, **owner, **place}


def _moves(lineage: Lineage, owner: _Values) -> Iterator[_Values]:
    for alias in lineage.aliases:
        for move in alias.moves:
            yield {"name": alias.name, **owner, **move.model_dump()}
