"""What must hold of any registry at any time: the offline checker of histories."""

from collections import Counter, defaultdict

from sqlalchemy import select

from core.domain import jobs, versions
from core.domain.jobs import JobState
from core.domain.versions import VersionState
from core.registry import tables
from core.registry.work import Work


def assert_legal(work: Work) -> None:
    """Fail unless events replay to the rows, every move was legal, and every chain and alias is consistent."""
    _assert_replay(work)
    _assert_lineages(work)
    _assert_aliases(work)
    _assert_rejected_serve_nobody(work)


def _assert_replay(work: Work) -> None:
    found = work.connection.execute(select(tables.EVENT).order_by(tables.EVENT.c.subject_id, tables.EVENT.c.n)).all()
    counts: Counter[str] = Counter()
    state: dict[str, str | None] = defaultdict(lambda: None)
    for event in found:
        counts[event.subject_id] += 1
        assert event.n == counts[event.subject_id], "events count from 1 without a gap"
        if event.kind == "state":
            assert event.from_state == state[event.subject_id], "each event begins where the last one ended"
            _assert_move(event.subject_id, event.from_state, event.to_state)
            state[event.subject_id] = event.to_state
    for table in (tables.JOB, tables.VERSION):
        for row in work.connection.execute(select(table.c.id, table.c.state)):
            assert state[row.id] == row.state, "replaying the events gives the row"


def _assert_move(subject_id: str, before: str | None, after: str) -> None:
    if before is None:
        return
    if subject_id.startswith("job_"):
        jobs.advance(JobState(before), to=JobState(after))
    else:
        versions.advance(VersionState(before), to=VersionState(after))


def _assert_lineages(work: Work) -> None:
    links = defaultdict[str, list[str]](list)
    order = (tables.VERSION_CHAIN.c.version_id, tables.VERSION_CHAIN.c.position)
    for row in work.connection.execute(select(tables.VERSION_CHAIN).order_by(*order)):
        assert row.position == len(links[row.version_id])
        links[row.version_id].append(row.delta_version_id)
    rows = work.connection.execute(select(tables.VERSION).order_by(tables.VERSION.c.model_id, tables.VERSION.c.number))
    seen = defaultdict[str, list[str]](list)
    for row in rows:
        assert row.number == len(seen[row.model_id]), "numbers grow by one: nothing else takes one"
        if row.parent_id is not None:
            assert row.parent_id in seen[row.model_id], "a parent is older than its child"
            # A version that learned a task stands on all of its parent; a rebuilt one on some of it, in the same order.
            stays = links[row.parent_id]
            if row.task_id is None:
                stays = [link for link in stays if link in links[row.id]]
                assert stays != links[row.parent_id], "it leaves something out"
            assert links[row.id] == [*stays, row.id]
        seen[row.model_id].append(row.id)
    leaves_one = tables.JOB.c.kind.in_(("train", "rebuild"))
    ended = {
        state: set(work.connection.scalars(select(tables.JOB.c.id).where(tables.JOB.c.state == state, leaves_one)))
        for state in (JobState.SUCCEEDED, JobState.REJECTED)
    }
    published = select(tables.VERSION.c.job_id).where(tables.VERSION.c.job_id.is_not(None))
    left_one = set(work.connection.scalars(published))
    # Of a release that had no gate, a rejected job may have left nothing.
    assert ended[JobState.SUCCEEDED] <= left_one <= ended[JobState.SUCCEEDED] | ended[JobState.REJECTED]


def _assert_aliases(work: Work) -> None:
    moves = defaultdict[tuple[str, str], list[str]](list)
    order = (tables.ALIAS_MOVE.c.model_id, tables.ALIAS_MOVE.c.name, tables.ALIAS_MOVE.c.n)
    for move in work.connection.execute(select(tables.ALIAS_MOVE).order_by(*order)):
        trail = moves[move.model_id, move.name]
        assert move.n == len(trail) + 1
        assert move.from_version_id == (trail[-1] if trail else None)
        trail.append(move.to_version_id)
    for alias in work.connection.execute(select(tables.ALIAS)):
        assert (alias.moves, alias.version_id) == (
            len(moves[alias.model_id, alias.name]),
            moves[alias.model_id, alias.name][-1],
        )


def _assert_rejected_serve_nobody(work: Work) -> None:
    """No name ever pointed at what the gate rejected, and nothing stands on it; its job ended as it did."""
    born = (tables.EVENT.c.from_state.is_(None), tables.EVENT.c.to_state == VersionState.REJECTED)
    rejected = set(work.connection.scalars(select(tables.EVENT.c.subject_id).where(*born)))
    assert not rejected & set(work.connection.scalars(select(tables.ALIAS_MOVE.c.to_version_id)))
    link = tables.VERSION_CHAIN.c
    others = select(link.delta_version_id).where(link.version_id != link.delta_version_id)
    assert not rejected & set(work.connection.scalars(others))
    jobs_of = select(tables.VERSION.c.job_id).where(tables.VERSION.c.id.in_(rejected))
    refused = select(tables.JOB.c.id).where(tables.JOB.c.state == JobState.REJECTED)
    assert set(work.connection.scalars(jobs_of)) <= set(work.connection.scalars(refused))
