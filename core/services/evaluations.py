"""What a model remembers: the score matrix and the figures of continual learning drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from core.datasets.catalogue import FORMATS
from core.domain.records import Task, Version
from core.registry import measures, tasks, versions
from core.registry.work import Work
from core.services.versions import resolve

OPTION_LIKELIHOOD: Final = "option_likelihood"
Row = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """Scores along the lineage of `latest`: a row a version, a column a task, each in the order of their making.

    Without rebuilt versions the i-th version learned the i-th task. The figures are over the tasks that are in `latest`.

    Attributes:
        tasks: names, also of those that were left out since; ``versions``: ids; ``numbers``: their numbers.
        learned_in: for each task the row of the version that learned it.
        left_out: for each task whether `latest` is without it.
        metrics: by which each task is scored, a share from 0 to 1: exact match, or token accuracy for plain text.
        scores: ``scores[i][t]``, a_i,t: score on task t of the i-th version; None where not measured.
        base_scores: of the base on each task; ``base_option_scores`` by option likelihood.
        oa: overall accuracy, the mean of the last row.
        bwt: backward transfer, the mean over t < T of a_T,t - a_t,t, where a_t,t is of the version that learned t, and
            T that of `latest`.
        forgetting: the mean over t < T of max_i a_i,t - a_T,t.
        plasticity: the mean of a_t,t.
        density: nonzero share of each version's delta.
    """

    model_id: str
    tasks: tuple[str, ...]
    task_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    learned_in: tuple[int, ...]
    left_out: tuple[bool, ...]
    versions: tuple[str, ...]
    numbers: tuple[int, ...]
    scores: tuple[tuple[float | None, ...], ...]
    base_scores: tuple[float | None, ...]
    base_option_scores: tuple[float | None, ...]
    oa: float | None
    bwt: float | None
    forgetting: float | None
    plasticity: float | None
    density: tuple[float | None, ...]


def matrix(work: Work, *, project_id: str, model: str) -> ScoreMatrix:
    """Return the score matrix of a model (name or id).

    Raises:
        MissingError: ``model_not_found``.
    """
    head = resolve(work, project_id=project_id, reference=f"{model}:latest")
    made = _lineage(work, head)
    zero, made = made[0], made[1:]
    learned_in = {version.task_id: row for row, version in enumerate(made) if version.task_id}
    task_ids = list(learned_in)
    names = tasks.by_id(work, task_ids)
    cells = {
        (score.version_id, score.task_id, score.metric): score.value
        for score in measures.scores(work, [zero.id, *(version.id for version in made)])
    }
    metrics = tuple(_metric(names[task_id]) for task_id in task_ids)

    def row(version: Version, of_tasks: Sequence[str]) -> Row:
        asked = zip(task_ids, of_tasks, strict=True)
        return tuple(cells.get((version.id, task_id, metric)) for task_id, metric in asked)

    scores = tuple(row(version, metrics) for version in made)
    left_out = tuple(made[learned_in[task_id]].id not in head.chain for task_id in task_ids)
    kept = [place for place, gone in enumerate(left_out) if not gone]
    counted = tuple(tuple(row[place] for place in kept) for row in scores)
    known_in = [learned_in[task_ids[place]] for place in kept]
    return ScoreMatrix(
        model_id=head.model_id,
        tasks=tuple(names[task_id].name for task_id in task_ids),
        task_ids=tuple(task_ids),
        learned_in=tuple(learned_in.values()),
        left_out=left_out,
        metrics=metrics,
        versions=tuple(version.id for version in made),
        numbers=tuple(version.number for version in made),
        scores=scores,
        base_scores=row(zero, metrics),
        base_option_scores=row(zero, [OPTION_LIKELIHOOD] * len(task_ids)),
        oa=overall_accuracy(counted),
        bwt=backward_transfer(counted, known_in),
        forgetting=forgetting(counted, known_in),
        plasticity=plasticity(counted, known_in),
        density=tuple((version.delta or {}).get("density") for version in made),
    )


def _lineage(work: Work, head: Version) -> list[Version]:
    """Return a version and all that it came of, the base first."""
    known = {version.id: version for version in versions.of_model(work, head.model_id)}
    path = [head]
    while path[-1].parent_id is not None:
        path.append(known[path[-1].parent_id])
    return path[::-1]


def _metric(task: Task) -> str:
    return FORMATS[task.template["format"]].metrics[0]


def overall_accuracy(scores: Sequence[Row]) -> float | None:
    """Return OA, the mean of the last row; None where a cell is missing."""
    return _mean(scores[-1]) if scores else None


def backward_transfer(scores: Sequence[Row], learned_in: Sequence[int] | None = None) -> float | None:
    """Return BWT, the mean over t < T of a_T,t - a_t,t; None for a single task or where a cell is missing.

    ``learned_in`` names the row that learned each task; without it the t-th row learned the t-th task.
    """
    return _mean([_minus(scores[-1][t], scores[row][t]) for t, row in _earlier(scores, learned_in)])


def forgetting(scores: Sequence[Row], learned_in: Sequence[int] | None = None) -> float | None:
    """Return the mean over t < T of max_i a_i,t - a_T,t, over the measured i; None and ``learned_in`` as for BWT."""
    earlier = [t for t, _ in _earlier(scores, learned_in)]
    columns = [[value for row in scores if (value := row[t]) is not None] for t in earlier]
    best = [max(column, default=None) for column in columns]
    return _mean([_minus(top, scores[-1][t]) for t, top in zip(earlier, best, strict=True)])


def plasticity(scores: Sequence[Row], learned_in: Sequence[int] | None = None) -> float | None:
    """Return the mean of a_t,t: how well each task was learned at once; None where a cell is missing."""
    rows = range(len(scores)) if learned_in is None else learned_in
    return _mean([scores[row][t] for t, row in enumerate(rows)])


def _earlier(scores: Sequence[Row], learned_in: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return the tasks that were learned before the last row, each with the row that learned it."""
    rows = range(len(scores)) if learned_in is None else learned_in
    return [(t, row) for t, row in enumerate(rows) if row < len(scores) - 1]


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
