"""How much earlier tasks lost from one version to the next, and how sure that is."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from core.domain.bounds import student, variance_of
from core.domain.job_folder import ScoreEvent
from core.domain.metrics import EXACT_MATCH, OPTION_LIKELIHOOD
from core.domain.scores import Score
from core.domain.statistics import Sample, differences

Measured = ScoreEvent | Score

# Each row is right or wrong: value and number of rows tell all outcomes but their order.
ALL_OR_NOTHING: Final = frozenset({EXACT_MATCH, OPTION_LIKELIHOOD})
# Of fewer rows nobody can say how much they vary.
FEWEST_ROWS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One task by one metric, before and after.

    Attributes:
        drop: of the score; below 0 for a gain.
        variance: of that figure.
        paired: whether both versions were scored on the very same rows, so that each row is its own measure.
    """

    before: Measured
    after: ScoreEvent
    drop: float
    variance: float
    paired: bool

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance."""
        return min(self.before.n_rows, self.after.n_rows) - 1

    def low(self, confidence: float) -> float:
        """Return the least that was lost."""
        return self.drop - student(confidence, degrees=self.degrees) * math.sqrt(self.variance)


def compare(before: Iterable[Score], after: Sequence[ScoreEvent], *, min_rows: int) -> list[Comparison]:
    """Return the tasks of ``after`` that can be compared, each by the metric by which it was best ``before``.

    A metric that was at nought could not fall: exact match of long answers, say, where token F1 can.
    """
    known = {(score.task_id, score.metric): score for score in before}
    yardsticks: dict[str | None, tuple[Score, ScoreEvent]] = {}
    for score in after:
        was, best = known.get((score.task_id, score.metric)), yardsticks.get(score.task_id)
        if was is not None and (best is None or was.value > best[0].value):
            yardsticks[score.task_id] = was, score
    enough = max(min_rows, FEWEST_ROWS)
    found = [comparison(*pair) for pair in yardsticks.values() if min(pair[0].n_rows, pair[1].n_rows) >= enough]
    return [each for each in found if each is not None]


def comparison(before: Measured, after: ScoreEvent) -> Comparison | None:
    """Return how one task did, by one metric; None where too little is known of its rows."""
    ours, theirs = sample_of(before), sample_of(after)
    if ours is None or theirs is None:
        return None
    if _are_same_rows(before, after):
        losses = differences(theirs, ours)
        return Comparison(before=before, after=after, drop=losses.value, variance=variance_of(losses), paired=True)
    variance = variance_of(ours) + variance_of(theirs)
    return Comparison(before=before, after=after, drop=before.value - after.value, variance=variance, paired=False)


def mean_low(compared: Sequence[Comparison], confidence: float) -> float:
    """Return the least that the tasks lost on average; each task counts alike, however many rows it has."""
    error = math.sqrt(sum(each.variance for each in compared)) / len(compared)
    degrees = sum(each.degrees for each in compared)
    return fmean(each.drop for each in compared) - student(confidence, degrees=degrees) * error


def sample_of(score: Measured) -> Sample | None:
    """Return what its rows came to, as far as anything can be said of how they vary; in any order if they were not kept."""
    if score.n_rows < FEWEST_ROWS:
        return None
    if score.outcomes is not None:
        return Sample(score.outcomes, score.sizes)
    if score.metric not in ALL_OR_NOTHING:
        return None
    right = round(score.value * score.n_rows)
    return Sample([1.0] * right + [0.0] * (score.n_rows - right))


def _are_same_rows(before: Measured, after: Measured) -> bool:
    kept = before.outcomes is not None and after.outcomes is not None
    return kept and before.rows_sha256 is not None and before.rows_sha256 == after.rows_sha256
