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
    """Scores along the lineage of `latest`; every list follows the order in which the tasks were learned.

    Attributes:
        tasks: names; ``versions``: ids, the i-th learned the i-th task; ``numbers``: their numbers.
        metrics: by which each task is scored, a share from 0 to 1: exact match, or token accuracy for plain text.
        scores: ``scores[i][t]``, a_i,t: score on task t after learning task i; None where not measured.
        base_scores: of the base on each task; ``base_option_scores`` by option likelihood.
        oa: overall accuracy, the mean of the last row.
        bwt: backward transfer, the mean over t < T of a_T,t - a_t,t.
        forgetting: the mean over t < T of max_i a_i,t - a_T,t.
        plasticity: the mean of a_t,t.
        density: nonzero share of each version's delta.
    """

    model_id: str
    tasks: tuple[str, ...]
    task_ids: tuple[str, ...]
    metrics: tuple[str, ...]
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
    zero = versions.find_number(work, model_id=head.model_id, number=0)
    found = versions.by_id(work, head.chain)
    learned = [found[link] for link in head.chain if found[link].task_id]
    task_ids = [str(version.task_id) for version in learned]
    names = tasks.by_id(work, task_ids)
    everyone = [*learned, zero] if zero else learned
    cells = {
        (score.version_id, score.task_id, score.metric): score.value
        for score in measures.scores(work, [version.id for version in everyone])
    }

    metrics = tuple(_metric(names[task_id]) for task_id in task_ids)

    def row(version: Version | None, of_tasks: Sequence[str]) -> Row:
        asked = zip(task_ids, of_tasks, strict=True)
        return tuple(cells.get((version.id, task_id, metric)) if version else None for task_id, metric in asked)

    scores = tuple(row(version, metrics) for version in learned)
    return ScoreMatrix(
        model_id=head.model_id,
        tasks=tuple(names[task_id].name for task_id in task_ids),
        task_ids=tuple(task_ids),
        metrics=metrics,
        versions=tuple(version.id for version in learned),
        numbers=tuple(version.number for version in learned),
        scores=scores,
        base_scores=row(zero, metrics),
        base_option_scores=row(zero, [OPTION_LIKELIHOOD] * len(task_ids)),
        oa=overall_accuracy(scores),
        bwt=backward_transfer(scores),
        forgetting=forgetting(scores),
        plasticity=plasticity(scores),
        density=tuple((version.delta or {}).get("density") for version in learned),
    )


def _metric(task: Task) -> str:
    return FORMATS[task.template["format"]].metrics[0]


def overall_accuracy(scores: Sequence[Row]) -> float | None:
    """Return OA, the mean of the last row; None where a cell is missing."""
    return _mean(scores[-1]) if scores else None


def backward_transfer(scores: Sequence[Row]) -> float | None:
    """Return BWT, the mean over t < T of a_T,t - a_t,t; None for a single task or where a cell is missing."""
    return _mean([_minus(scores[-1][t], scores[t][t]) for t in range(len(scores) - 1)])


def forgetting(scores: Sequence[Row]) -> float | None:
    """Return the mean over t < T of max_i a_i,t - a_T,t, over the measured i; None as for BWT."""
    columns = [[value for row in scores if (value := row[t]) is not None] for t in range(len(scores) - 1)]
    best = [max(column, default=None) for column in columns]
    return _mean([_minus(top, scores[-1][t]) for t, top in enumerate(best)])


def plasticity(scores: Sequence[Row]) -> float | None:
    """Return the mean of a_t,t: how well each task was learned at once; None where a cell is missing."""
    return _mean([scores[t][t] for t in range(len(scores))])


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
