"""What leaving tasks out came to: what was lost of them and of the others, and where traces of them may remain."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.jobs import JobKind
from core.domain.records import Job, Task, Version
from core.learning.catalogue.parts import PARTS
from core.registry import tasks, versions
from core.registry.work import Work
from core.services import comparisons
from core.services.comparisons import Difference, VersionScore
from core.services.publication import left_out_by
from core.services.rebuilds import learned_tasks, tasks_left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A task that was left out, by id and name."""

    task_id: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One task by one metric, in the parent and in the rebuilt version.

    Attributes:
        difference: ``after`` less ``before``, of perplexities of their logarithms; None where the parent was not measured.
        low: lower bound of its 95 % interval, ``high`` the upper one, over the same rows; None where the two were not
            measured on the same rows, or what rows came to was not kept.
    """

    task_id: str
    task: str
    left_out: bool
    metric: str
    before: float | None
    after: float
    difference: float | None
    low: float | None
    high: float | None
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What a rebuilt version leaves out, and what that came to.

    Attributes:
        learned_on_top: names of tasks that stay and were learned after a left-out one, on top of its delta.
        traces_in: memories whose state those tasks carry on from a left-out one; see `PartInfo.mixes_tasks`.
        comparison: of every task that was scored; empty until the version is there.
    """

    left_out: tuple[LeftOut, ...]
    learned_on_top: tuple[str, ...]
    traces_in: tuple[str, ...]
    comparison: tuple[Comparison, ...]


def of_version(work: Work, version: Version) -> Rebuild | None:
    """Return the account of a rebuilt version; None for any other."""
    if version.task_id is not None or version.parent_id is None:
        return None
    parent = versions.get(work, version.parent_id)
    return _account(work, parent, tasks_left_out(work, version), made=version)


def of_job(work: Work, job: Job) -> Rebuild | None:
    """Return what a `rebuild` job leaves out, and what came of it once it is over; None for any other."""
    if job.kind is not JobKind.REBUILD:
        return None
    if job.result_version_id is not None:
        return of_version(work, versions.get(work, job.result_version_id))
    known = tasks.by_id(work, left_out_by(job))
    parent = versions.get(work, job.parent_version_id) if job.parent_version_id else None
    return _account(work, parent, [known[task_id] for task_id in left_out_by(job)], made=None)


def _account(work: Work, parent: Version | None, left_out: Sequence[Task], *, made: Version | None) -> Rebuild:
    learned = learned_tasks(work, parent.chain) if parent else ()
    gone = {task.id for task in left_out}
    first = next((place for place, task in enumerate(learned) if task.id in gone), len(learned))
    on_top = [task for task in learned[first:] if task.id not in gone]
    return Rebuild(
        left_out=tuple(LeftOut(task_id=task.id, task=task.name) for task in left_out),
        learned_on_top=tuple(task.name for task in on_top),
        traces_in=_traces(left_out, on_top),
        comparison=_compared(work, parent, made, learned, gone) if parent and made else (),
    )


def _traces(left_out: Sequence[Task], on_top: Sequence[Task]) -> tuple[str, ...]:
    """Return the memories that a left-out task added to and a later one carries on."""
    mixing = {name for name, part in PARTS["memory"].items() if part.mixes_tasks}
    added, carried = ({name for task in some for name in task.spec.get("memories", {})} for some in (left_out, on_top))
    return tuple(sorted(mixing & added & carried))


def _compared(
    work: Work, parent: Version, made: Version, learned: Sequence[Task], gone: set[str]
) -> tuple[Comparison, ...]:
    found = comparisons.of_version(work, project_id=made.project_id, version=made.id, against=parent.id)
    return tuple(
        _comparison(score, score.against, name=task.name, left_out=task.id in gone)
        for task in learned
        for score in found.scores
        if score.task_id == task.id
    )


def _comparison(after: VersionScore, change: Difference | None, *, name: str, left_out: bool) -> Comparison:
    return Comparison(
        task_id=str(after.task_id),
        task=name,
        left_out=left_out,
        metric=after.metric,
        before=change.value if change else None,
        after=after.value,
        difference=change.difference if change else None,
        low=change.low if change else None,
        high=change.high if change else None,
        n_rows=after.n_rows,
    )
