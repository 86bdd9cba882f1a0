"""One score: a version on the held-out rows of a task, or on the general text, by one metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from core.domain.statistics import Sample


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One cell of the score matrix, or of general ability.

    Attributes:
        task_id: None for the general text.
        value: ``sum(outcomes) / sum(sizes)``, of which a perplexity is the exponential; a share, 0 to 1, otherwise.
        n_rows: how many rows it was measured on.
        low: lower bound of the value's 95 % bootstrap interval; ``high`` the upper one.
        chance: what an answer that does not look at its prompt would get on the same rows; None where that has no
            meaning.
        rows_sha256: identity of the rows: the same rows in the same order, and no others, have the same.
        outcomes: what each row came to, in the order of the rows: 0 or 1 for a match, a share for token F1 and
            ROUGE-L; of a document the tokens that were guessed, or the sum of their -log likelihoods.
        sizes: how many tokens each row's outcome counts; None where every row counts as one.

    All but the value and its count is None in what earlier releases measured, and outcomes and sizes also where they
    were not asked for.
    """

    version_id: str
    task_id: str | None
    metric: str
    value: float
    n_rows: int
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    rows_sha256: str | None = None
    outcomes: Sequence[float] | None = None
    sizes: Sequence[int] | None = None

    @property
    def sample(self) -> Sample | None:
        """The rows as statistics take them; None where they were not kept."""
        return None if self.outcomes is None else Sample(self.outcomes, self.sizes)
