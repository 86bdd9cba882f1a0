"""What a model remembers: the score matrix and the figures of continual learning drawn from it."""

from dataclasses import dataclass

from core.registry.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """Scores along the lineage of `latest`; every list follows the order in which the tasks were learned.

    Attributes:
        tasks: names; ``versions``: ids, the i-th learned the i-th task; ``numbers``: their numbers.
        scores: ``scores[i][t]``, a_i,t: exact match on task t after learning task i; None where not measured.
        base_scores: exact match of the base on each task; ``base_option_scores`` by option likelihood.
        oa: overall accuracy, the mean of the last row.
        bwt: backward transfer, the mean over t < T of a_T,t - a_t,t.
        forgetting: the mean over t < T of max_i a_i,t - a_T,t.
        plasticity: the mean of a_t,t.
        density: nonzero share of each version's delta.
    """

    model_id: str
    tasks: tuple[str, ...]
    task_ids: tuple[str, ...]
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
    raise NotImplementedError
