"""What a model remembers: the score matrix and the figures of continual learning drawn from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from core.datasets.metrics import metrics_of
from core.domain.metrics import OPTION_LIKELIHOOD, PERPLEXITY
from core.domain.records import Task, Version
from core.domain.scores import Score
from core.registry import measures, tasks, versions
from core.registry.work import Work
from core.services.versions import resolve

Row = tuple[float | None, ...]
Square = tuple[Row, ...]
Scores = Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureCounts:
    """Over how many tasks each figure of a matrix is: those whose scores it takes were measured."""

    oa: int
    bwt: int
    forgetting: int
    plasticity: int
    fwt_vs_scratch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """Scores along the lineage of `latest`: a row a version, a column a task, each in the order of their making.

    Without rebuilt versions the i-th version learned the i-th task. The figures are over the tasks that are in `latest`
    and were measured; `n_tasks` says over how many.

    Attributes:
        tasks: names, also of those that were left out since; ``versions``: ids; ``numbers``: their numbers.
        learned_in: for each task the row of the version that learned it.
        left_out: for each task whether `latest` is without it.
        metrics: by which each task is scored, a share from 0 to 1: exact match, or token accuracy for plain text,
            unless the task asked for another.
        scores: ``scores[i][t]``, a_i,t: score on task t of the i-th version; None where not measured.
        low: lower bounds of the scores' 95 % intervals; ``high`` the upper ones; ``n_rows`` on how many rows.
        chance: for each task, what an answer gets that does not look at its prompt.
        base_scores: of the base on each task, ``base_option_scores`` by option likelihood; ``base_low`` and
            ``base_high`` are the bounds of the former.
        scratch_scores: what users measured of the same method on each task alone.
        oa: overall accuracy, the mean of the last row.
        bwt: backward transfer, the mean over t < T of a_T,t - a_t,t, where a_t,t is of the version that learned t, and
            T that of `latest`.
        forgetting: the mean over t < T of max_i a_i,t - a_T,t.
        plasticity: the mean of a_t,t.
        fwt_vs_scratch: the mean of a_t,t less the scratch score.
        density: nonzero share of each version's delta.
        overlap_shared: of the entries that the sparser of two versions' deltas changes, the share that the other
            changes too; ``overlap_cosine`` of the two as vectors. None with itself, and where not measured.
        general_perplexity: of each version on the general text; ``base_general_perplexity`` of the base.
        general_drift: by how much it grew since the base, as a share of the base's; below 0 if it shrank.
    """

    model_id: str
    tasks: tuple[str, ...]
    task_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    learned_in: tuple[int, ...]
    left_out: tuple[bool, ...]
    versions: tuple[str, ...]
    numbers: tuple[int, ...]
    scores: Square
    low: Square
    high: Square
    n_rows: tuple[tuple[int | None, ...], ...]
    chance: Row
    base_scores: Row
    base_low: Row
    base_high: Row
    base_option_scores: Row
    scratch_scores: Row
    oa: float | None
    bwt: float | None
    forgetting: float | None
    plasticity: float | None
    fwt_vs_scratch: float | None
    n_tasks: FigureCounts
    density: Row
    overlap_shared: Square
    overlap_cosine: Square
    general_perplexity: Row
    base_general_perplexity: float | None
    general_drift: Row


def matrix(work: Work, *, project_id: str, model: str) -> ScoreMatrix:
    """Return the score matrix of a model (name or id).

    Raises:
        MissingError: ``model_not_found``.
    """
    head = resolve(work, project_id=project_id, reference=f"{model}:latest")
    zero, *made = _lineage(work, head)
    learned_in = {version.task_id: row for row, version in enumerate(made) if version.task_id}
    known = tasks.by_id(work, list(learned_in))
    learned = [known[task_id] for task_id in learned_in]
    metrics = [main_metric(task) for task in learned]
    cells = _Cells(work, [zero, *made])
    rows = [cells.of(version, learned, metrics) for version in made]
    base = cells.of(zero, learned, metrics)
    scores = tuple(_values(row, "value") for row in rows)
    left_out = tuple(made[row].id not in head.chain for row in learned_in.values())
    general, base_general = [cells.general(version) for version in made], cells.general(zero)
    scratch = tuple(task.spec.get("evaluation", {}).get("scratch_score") for task in learned)
    kept = [place for place, gone in enumerate(left_out) if not gone]
    return ScoreMatrix(
        model_id=head.model_id,
        tasks=tuple(task.name for task in learned),
        task_ids=tuple(task.id for task in learned),
        metrics=tuple(metrics),
        learned_in=tuple(learned_in.values()),
        left_out=left_out,
        versions=tuple(version.id for version in made),
        numbers=tuple(version.number for version in made),
        scores=scores,
        low=tuple(_values(row, "low") for row in rows),
        high=tuple(_values(row, "high") for row in rows),
        n_rows=tuple(tuple(cell and cell.n_rows for cell in row) for row in rows),
        chance=tuple(_newest([row[t] for row in rows]) for t in range(len(learned))),
        base_scores=_values(base, "value"),
        base_low=_values(base, "low"),
        base_high=_values(base, "high"),
        base_option_scores=_values(cells.of(zero, learned, [OPTION_LIKELIHOOD] * len(learned)), "value"),
        scratch_scores=scratch,
        **figures(
            [[row[place] for place in kept] for row in scores],
            [list(learned_in.values())[place] for place in kept],
            [scratch[place] for place in kept],
        ),
        density=tuple((version.delta or {}).get("density") for version in made),
        overlap_shared=_overlaps(made, "shared"),
        overlap_cosine=_overlaps(made, "cosine"),
        general_perplexity=tuple(general),
        base_general_perplexity=base_general,
        general_drift=tuple(_minus(_ratio(each, base_general), 1.0) for each in general),
    )


def main_metric(task: Task) -> str:
    """Return the metric by which a task fills the score matrix."""
    return metrics_of(task.template["format"], task.spec.get("evaluation", {}).get("metrics"))[0]


def _lineage(work: Work, head: Version) -> list[Version]:
    """Return a version and all that it came of, the base first."""
    known = {version.id: version for version in versions.of_model(work, head.model_id)}
    path = [head]
    while path[-1].parent_id is not None:
        path.append(known[path[-1].parent_id])
    return path[::-1]


class _Cells:
    """Every score of some versions, each read once."""

    def __init__(self, work: Work, made: Sequence[Version]) -> None:
        ids = [version.id for version in made]
        found = (*measures.scores(work, ids), *measures.general_scores(work, ids))
        self._cells = {(score.version_id, score.task_id, score.metric): score for score in found}

    def of(self, version: Version, of_tasks: Sequence[Task], metrics: Sequence[str]) -> list[Score | None]:
        asked = zip(of_tasks, metrics, strict=True)
        return [self._cells.get((version.id, task.id, metric)) for task, metric in asked]

    def general(self, version: Version) -> float | None:
        found = self._cells.get((version.id, None, PERPLEXITY))
        return found and found.value


def overall_accuracy(scores: Scores) -> float | None:
    """Return OA, the mean of the last row over the tasks that were measured; None if none was."""
    return _mean(_last(scores))


def backward_transfer(scores: Scores, learned_in: Sequence[int] | None = None) -> float | None:
    """Return BWT, the mean over t < T of a_T,t - a_t,t, where both were measured; None where none were.

    ``learned_in`` names the row that learned each task; without it the t-th row learned the t-th task.
    """
    return _mean(_transfers(scores, learned_in))


def forgetting(scores: Scores, learned_in: Sequence[int] | None = None) -> float | None:
    """Return the mean over t < T of max_i a_i,t - a_T,t, over the measured i; None and ``learned_in`` as for BWT."""
    return _mean(_losses(scores, learned_in))


def plasticity(scores: Scores, learned_in: Sequence[int] | None = None) -> float | None:
    """Return the mean of a_t,t: how well each task was learned at once, over those that were measured."""
    return _mean(_at_once(scores, learned_in))


def figures(scores: Scores, learned_in: Sequence[int], scratch: Sequence[float | None]) -> Mapping[str, Any]:
    """Return every figure of `ScoreMatrix` by its name, and under ``n_tasks`` over how many tasks each is."""
    own = [scores[row][t] for t, row in enumerate(learned_in)]
    terms = {
        "oa": _last(scores),
        "bwt": _transfers(scores, learned_in),
        "forgetting": _losses(scores, learned_in),
        "plasticity": _at_once(scores, learned_in),
        "fwt_vs_scratch": _known(map(_minus, own, scratch)),
    }
    counts = FigureCounts(**{name: len(values) for name, values in terms.items()})
    return {name: _mean(values) for name, values in terms.items()} | {"n_tasks": counts}


def _last(scores: Scores) -> list[float]:
    return _known(scores[-1]) if scores else []


def _transfers(scores: Scores, learned_in: Sequence[int] | None) -> list[float]:
    return _known(_minus(scores[-1][t], scores[row][t]) for t, row in _earlier(scores, learned_in))


def _losses(scores: Scores, learned_in: Sequence[int] | None) -> list[float]:
    earlier = [t for t, _ in _earlier(scores, learned_in)]
    best = [max(_known(row[t] for row in scores), default=None) for t in earlier]
    return _known(_minus(top, scores[-1][t]) for t, top in zip(earlier, best, strict=True))


def _at_once(scores: Scores, learned_in: Sequence[int] | None) -> list[float]:
    rows = range(len(scores)) if learned_in is None else learned_in
    return _known(scores[row][t] for t, row in enumerate(rows))


def _earlier(scores: Scores, learned_in: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return the tasks that were learned before the last row, each with the row that learned it."""
    rows = range(len(scores)) if learned_in is None else learned_in
    return [(t, row) for t, row in enumerate(rows) if row < len(scores) - 1]


def _overlaps(made: Sequence[Version], figure: str) -> Square:
    """Return one figure of each pair of versions' deltas; each delta was compared with those of its chain before it."""
    found = {}
    for version in made:
        compared = (version.delta or {}).get("overlaps") or ()
        for link, overlap in zip(version.chain, compared, strict=False):
            found[version.id, link] = found[link, version.id] = overlap[figure]
    return tuple(tuple(found.get((one.id, other.id)) for other in made) for one in made)


def _values(row: Sequence[Score | None], field: Literal["value", "low", "high"]) -> Row:
    return tuple(cell and getattr(cell, field) for cell in row)


def _newest(column: Sequence[Score | None]) -> float | None:
    return next((cell.chance for cell in reversed(column) if cell is not None), None)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _ratio(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left / right


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
