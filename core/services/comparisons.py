"""The scores of one version, and how they differ from another's: row by row where both answered the same rows."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from core.domain.errors import InvalidError, Place
from core.domain.metrics import PERPLEXITY
from core.domain.records import Version
from core.domain.scores import Score
from core.domain.statistics import Sample, differences, interval, sign_test
from core.registry import measures, tasks
from core.registry.work import Work
from core.services.versions import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a score differs from the other version's.

    Attributes:
        value: the other version's.
        difference: this one's less the other's; of perplexities the difference of their logarithms.
        low: lower bound of its 95 % bootstrap interval, ``high`` the upper one.
        n_better: rows that came to more here, or of perplexity to less; ``n_worse`` the contrary.
        p_value: of the exact sign test on those rows, which for rows that are right or wrong is McNemar's.

    All but the first two are None where the two were not measured on the same rows, or the rows were not kept.
    """

    value: float
    difference: float
    low: float | None = None
    high: float | None = None
    n_better: int | None = None
    n_worse: int | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionScore:
    """One score of a version, on a task or, without one, on the general text; see `core.domain.scores.Score`."""

    task: str | None
    task_id: str | None
    metric: str
    value: float
    low: float | None
    high: float | None
    n_rows: int
    chance: float | None
    rows_sha256: str | None
    against: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionScores:
    """Every score of a version; ``against_id`` is the version that they are compared with."""

    version_id: str
    against_id: str | None
    scores: tuple[VersionScore, ...]


def of_version(work: Work, *, project_id: str, version: str, against: str | None = None) -> VersionScores:
    """Return a version's scores, in the order in which the tasks were posted, and how they differ from another's.

    Raises:
        MissingError: ``version_not_found`` or ``model_not_found``, of either.
        InvalidError: the two are of different models, whose tasks are different too.
    """
    own = resolve(work, project_id=project_id, reference=version)
    other = resolve(work, project_id=project_id, reference=against) if against else None
    if other is not None and other.model_id != own.model_id:
        places = [Place(loc=("query", "against"), message="is a version of another model")]
        raise InvalidError("only versions of one model have scores on the same tasks", places=places)
    theirs = {(score.task_id, score.metric): score for score in _scores(work, other)} if other else {}
    found = _scores(work, own)
    known = tasks.by_id(work, {score.task_id for score in found if score.task_id})
    return VersionScores(
        version_id=own.id,
        against_id=other.id if other else None,
        scores=tuple(
            VersionScore(
                task=known[score.task_id].name if score.task_id else None,
                task_id=score.task_id,
                metric=score.metric,
                value=score.value,
                low=score.low,
                high=score.high,
                n_rows=score.n_rows,
                chance=score.chance,
                rows_sha256=score.rows_sha256,
                against=_difference(score, theirs.get((score.task_id, score.metric))),
            )
            for score in sorted(found, key=lambda each: (each.task_id is None, each.task_id, each.metric))
        ),
    )


def _scores(work: Work, version: Version) -> list[Score]:
    found: Iterable[Score] = measures.scores(work, [version.id], with_rows=True)
    return [*found, *measures.general_scores(work, [version.id], with_rows=True)]


def _difference(own: Score, other: Score | None) -> Difference | None:
    if other is None:
        return None
    is_log = own.metric == PERPLEXITY
    apart = math.log(own.value / other.value) if is_log else own.value - other.value
    changes = _changes(own, other)
    if changes is None:
        return Difference(value=other.value, difference=apart)
    bounds = interval(changes)
    up, down = (sum(sign * change > 0 for change in changes.outcomes) for sign in (1, -1))
    return Difference(
        value=other.value,
        difference=apart,
        low=bounds.low,
        high=bounds.high,
        n_better=down if is_log else up,
        n_worse=up if is_log else down,
        p_value=sign_test(changes),
    )


def _changes(own: Score, other: Score) -> Sample | None:
    """Return by how much each row changed, if both were measured on the same rows."""
    if own.rows_sha256 is None or own.rows_sha256 != other.rows_sha256 or own.sample is None or other.sample is None:
        return None
    return differences(other.sample, own.sample)
