"""What leaving tasks out came to: what was lost of them and of the others, and where traces of them may remain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain import statistics
from core.domain.jobs import JobKind
from core.domain.records import Job, Task, Version
from core.domain.scores import Score
from core.domain.statistics import Interval
from core.learning.catalogue.parts import PARTS
from core.registry import measures, tasks, versions
from core.registry.work import Work
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
        difference: ``after`` less ``before``; None where one of them was not measured.
        low: lower bound of its 95 % interval, ``high`` the upper one, over the same rows; None where the two were not
            measured on the same rows, or what rows came to was not kept.
    """

    task_id: str
    task: str
    left_out: bool
    metric: str
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    n_rows: int | None


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
    found = measures.scores(work, [parent.id, made.id], with_rows=True)
    before, after = (
        {(score.task_id, score.metric): score for score in found if score.version_id == version.id}
        for version in (parent, made)
    )
    keys = [(task, metric) for task in learned for metric in _metrics(task.id, before, after)]
    return tuple(
        _comparison(task, metric, before.get((task.id, metric)), after.get((task.id, metric)), task.id in gone)
        for task, metric in keys
    )


def _metrics(task_id: str, *measured: Mapping[tuple[str | None, str], Score]) -> list[str]:
    """Return by what a task was scored, before or after."""
    return list(dict.fromkeys(metric for scores in measured for scored, metric in scores if scored == task_id))


def _comparison(task: Task, metric: str, before: Score | None, after: Score | None, left_out: bool) -> Comparison:  # noqa: FBT001 - private
    interval = _interval(before, after)
    return Comparison(
        task_id=task.id,
        task=task.name,
        left_out=left_out,
        metric=metric,
        before=before and before.value,
        after=after and after.value,
        difference=after.value - before.value if before and after else None,
        low=interval and interval.low,
        high=interval and interval.high,
        n_rows=after.n_rows if after else before and before.n_rows,
    )


def _interval(before: Score | None, after: Score | None) -> Interval | None:
    """Return the interval of the difference, where both were measured on the same rows."""
    if before is None or after is None or before.sample is None or after.sample is None:
        return None
    if before.rows_sha256 != after.rows_sha256:
        return None
    return statistics.interval(statistics.differences(before.sample, after.sample))
