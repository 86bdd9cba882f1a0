"""What the service says of scores, as frozen values."""

from collections.abc import Mapping, Sequence

from strata.client.result import Result


class ScoreMatrix(Result):
    """``scores[i][t]``: the score on task ``t`` of the ``i``-th version, by ``metrics[t]``; None where not measured.

    Unless tasks were left out (``left_out``), the i-th version learned the i-th task; ``learned_in`` says which did.

    OA, BWT, forgetting and plasticity as in Chaudhry et al. 2018 (arXiv 1801.10112); None where too few tasks exist.
    ``n_tasks`` says over how many tasks each is. ``low`` and ``high`` are the bounds of the scores' 95 % intervals.
    """

    tasks: Sequence[str]
    versions: Sequence[str]
    numbers: Sequence[int] = ()
    learned_in: Sequence[int] = ()
    left_out: Sequence[bool] = ()
    scores: Sequence[Sequence[float | None]]
    low: Sequence[Sequence[float | None]] = ()
    high: Sequence[Sequence[float | None]] = ()
    n_rows: Sequence[Sequence[int | None]] = ()
    chance: Sequence[float | None] = ()
    base_scores: Sequence[float | None] = ()
    base_low: Sequence[float | None] = ()
    base_high: Sequence[float | None] = ()
    scratch_scores: Sequence[float | None] = ()
    base_option_scores: Sequence[float | None] = ()
    metrics: Sequence[str] = ()
    oa: float | None = None
    bwt: float | None = None
    forgetting: float | None = None
    plasticity: float | None = None
    fwt_vs_scratch: float | None = None
    n_tasks: Mapping[str, int] = {}
    density: Sequence[float | None] = ()
    overlap_shared: Sequence[Sequence[float | None]] = ()
    overlap_cosine: Sequence[Sequence[float | None]] = ()
    general_perplexity: Sequence[float | None] = ()
    base_general_perplexity: float | None = None
    general_drift: Sequence[float | None] = ()


class Difference(Result):
    """How a score differs from another version's: this one's less the other's (of perplexities, of their logarithms).

    The interval and the exact sign test are None where the two were not measured on the same rows.
    """

    value: float
    difference: float
    low: float | None = None
    high: float | None = None
    n_better: int | None = None
    n_worse: int | None = None
    p_value: float | None = None


class VersionScore(Result):
    """One score of a version, on a task or, without one, on the general text."""

    task: str | None = None
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n_rows: int
    chance: float | None = None
    against: Difference | None = None


class VersionScores(Result):
    """Every score of a version, alone or beside another's."""

    version_id: str
    against_id: str | None = None
    scores: Sequence[VersionScore]
