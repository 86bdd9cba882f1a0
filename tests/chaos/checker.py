"""The offline checker: what a run left in the database and on the disk, against what its clients were promised.

The numbers are those of the invariants in docs/explanation/what-survives.md.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select

from core.domain.jobs import TERMINAL, JobState
from core.registry import tables
from core.registry.work import Registry, Work
from tests.chaos.files import leftovers, torn
from tests.chaos.journal import Operation
from tests.chaos.site import Site
from tests.history import assert_legal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; each list names its cases."""

    acknowledged: int
    succeeded: int
    interrupted: int
    lost: list[str] = field(default_factory=list)
    duplicate_versions: list[str] = field(default_factory=list)
    torn_versions: list[str] = field(default_factory=list)
    invariant_breaks: list[str] = field(default_factory=list)

    @property
    def found(self) -> list[str]:
        return [*self.lost, *self.duplicate_versions, *self.torn_versions, *self.invariant_breaks]


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that the checks look at, read in one snapshot."""

    models: dict[str, Row[Any]]
    tasks: dict[str, Row[Any]]
    jobs: dict[str, Row[Any]]
    versions: dict[str, Row[Any]]
    chains: dict[str, list[str]]
    claims: dict[str, list[Row[Any]]]

    @classmethod
    def read(cls, work: Work) -> "Rows":
        def keyed(table: Any) -> dict[str, Row[Any]]:
            return {row.id: row for row in work.connection.execute(select(table))}

        chains = defaultdict[str, list[str]](list)
        order = (tables.VERSION_CHAIN.c.version_id, tables.VERSION_CHAIN.c.position)
        for row in work.connection.execute(select(tables.VERSION_CHAIN).order_by(*order)):
            chains[row.version_id].append(row.delta_version_id)
        claims = defaultdict[str, list[Row[Any]]](list)
        begun = select(tables.EVENT).where(tables.EVENT.c.to_state == JobState.RUNNING)
        for row in work.connection.execute(begun.order_by(tables.EVENT.c.subject_id, tables.EVENT.c.n)):
            claims[row.subject_id].append(row)
        return cls(
            models=keyed(tables.MODEL),
            tasks=keyed(tables.TASK),
            jobs=keyed(tables.JOB),
            versions=keyed(tables.VERSION),
            chains=chains,
            claims=claims,
        )


def judge(site: Site, operations: Sequence[Operation]) -> Verdict:
    """Check a site that is at rest, its processes ended, against the history of its clients."""
    rows, illegal = _read(site.registry)
    acknowledged = {op.answer["id"] for op in operations if op.what == "submit" and op.outcome == "ok"}
    trained = [job for job in rows.jobs.values() if job.kind == "train"]
    return Verdict(
        acknowledged=len(acknowledged),
        succeeded=sum(job.state == JobState.SUCCEEDED for job in trained),
        interrupted=sum(job.claims > 1 for job in trained),
        lost=sorted(_lost(rows, acknowledged)),
        duplicate_versions=sorted(_duplicates(rows)),
        torn_versions=sorted(torn(site.data_dir, rows)),
        invariant_breaks=[
            *illegal,
            *_broken_promises(rows, operations),
            *_versions_of_the_cancelled(rows, operations),
            *_broken_keys(operations),
            *_broken_lineage(rows),
            *_foreign_answers(rows, operations),
            *leftovers(site),
        ],
    )


def _read(registry: Registry) -> tuple[Rows, list[str]]:
    with registry.read() as work:
        try:
            assert_legal(work)
        except (AssertionError, ValueError) as error:
            return Rows.read(work), [f"I17: {error}"]
        return Rows.read(work), []


def _lost(rows: Rows, acknowledged: set[str]) -> Iterator[str]:
    for job_id in acknowledged:
        job = rows.jobs.get(job_id)
        if job is None:
            yield f"I1: {job_id} was acknowledged and is gone"
        elif job.state not in TERMINAL:
            yield f"I1: {job_id} is {job.state} for ever"


def _duplicates(rows: Rows) -> Iterator[str]:
    of_jobs = Counter(version.job_id for version in rows.versions.values() if version.job_id)
    numbered = Counter((version.model_id, version.number) for version in rows.versions.values())
    yield from (f"I4: {job_id} has {count} versions" for job_id, count in of_jobs.items() if count > 1)
    yield from (f"I4: {count} versions are {key}" for key, count in numbered.items() if count > 1)


def _broken_promises(rows: Rows, operations: Sequence[Operation]) -> Iterator[str]:
    """What was refused left nothing."""
    there = {(rows.models[task.model_id].name, task.name) for task in rows.tasks.values()}
    outcomes = defaultdict[tuple[str, str], set[str]](set)
    for op in operations:
        if op.what == "submit":
            outcomes[op.asked["model"], op.asked["name"]].add(op.outcome)
    for name, seen in outcomes.items():
        if seen == {"fail"} and name in there:
            yield f"I2: {name} was refused and is there"


def _versions_of_the_cancelled(rows: Rows, operations: Sequence[Operation]) -> Iterator[str]:
    """What was cancelled does not succeed; what did not succeed has no version."""
    for op in operations:
        if op.what == "cancel" and op.outcome == "ok":
            state = rows.jobs[op.asked["job"]].state
            if state not in {JobState.CANCELLED, JobState.FAILED}:
                yield f"I16: {op.asked['job']} was cancelled and is {state}"
    with_version = {version.job_id for version in rows.versions.values()}
    for job in rows.jobs.values():
        if job.state != JobState.SUCCEEDED and job.id in with_version:
            yield f"I16: {job.id} is {job.state} and has a version"


def _broken_keys(operations: Sequence[Operation]) -> Iterator[str]:
    """A key means one job and one answer, byte for byte; sent again, a request is never taken for a new one."""
    of_key = defaultdict[str, list[Operation]](list)
    for op in operations:
        if op.what == "submit" and op.asked["key"]:
            of_key[op.asked["key"]].append(op)
    for key, sent in of_key.items():
        answers = {(op.answer["id"], op.answer["sha256"]) for op in sent if op.outcome == "ok"}
        if len(answers) > 1:
            yield f"I3: {key} was answered in {len(answers)} ways"
        if any(op.answer.get("code") == "name_taken" for op in sent):
            yield f"I3: a request under {key} was not known again"


def _broken_lineage(rows: Rows) -> Iterator[str]:
    """Versions are numbered in the order of submission, each on a parent that was there, by the claim that was last."""
    last_seq: dict[str, int] = {}
    for version in sorted(rows.versions.values(), key=lambda each: (each.model_id, each.number)):
        if version.number == 0:
            continue
        job, claim = rows.jobs[version.job_id], rows.claims[version.job_id][-1]
        if job.seq <= last_seq.get(version.model_id, -1):
            yield f"I5: {version.id} overtook a task that was posted before its own"
        last_seq[version.model_id] = job.seq
        if version.fence != claim.fence:
            yield f"I4: {version.id} was committed under {version.fence}, and {claim.fence} held the job"
        parent = rows.versions[version.parent_id]
        # One job of a model runs at a time: a parent of an earlier claim was there when this one was made.
        if claim.data["parent_version_id"] != parent.id or (parent.fence or 0) >= claim.fence:
            yield f"I5: {version.id} stands on a parent that was not there when its training began"
        if version.state != "ready":
            yield f"I6: {version.id} is {version.state}, and nobody damaged it"


def _foreign_answers(rows: Rows, operations: Sequence[Operation]) -> Iterator[str]:
    """Who asks a model is answered by a version of that model."""
    for op in operations:
        if op.what == "generate" and op.outcome == "ok":
            version = rows.versions.get(op.answer["version_id"])
            if version is None or rows.models[version.model_id].name != op.asked["model"]:
                yield f"I13: {op.asked['model']} answered by {op.answer['version_id']}"
