"""What the service reports of a model, as frozen values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from strata.client.results import Result


class Measure(Result):
    """One score, with its 95 % interval and the rows it was measured on as far as they are known."""

    value: float
    low: float | None = None
    high: float | None = None
    n_rows: int | None = None


class LearnedTask(Result):
    """One task of a report, and the version that learned it."""

    task: str
    version: str
    metric: str | None = None
    method: str | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)
    left_out: bool = False


class LineageStep(Result):
    """One version of a report's lineage: it learned a task, or was rebuilt without some."""

    version: str
    task: str | None = None
    left_out: Sequence[str] = ()
    density: float | None = None
    delta_bytes: int | None = None
    perplexity: Measure | None = None

    @property
    def deed(self) -> str:
        """What the version did, e.g. ``codes`` or ``without codes``."""
        return self.task or f"without {', '.join(self.left_out)}"


class Figures(Result):
    """OA, BWT, forgetting and plasticity once ``n_tasks`` tasks were learned."""

    n_tasks: int
    oa: float | None = None
    bwt: float | None = None
    forgetting: float | None = None
    plasticity: float | None = None


class ReportedVersion(Result):
    """One version of a report."""

    version: str
    state: str
    parent: str | None = None
    task: str | None = None
    aliases: Sequence[str] = ()
    made_at: str | None = None


class ModelReport(Result):
    """What a model learned and what it still knows: ``scores[i][t]`` is the score of step i of the lineage on task t."""

    model: str
    latest: str
    base: Mapping[str, Any] = Field(default_factory=dict)
    learned: Sequence[LearnedTask] = ()
    lineage: Sequence[LineageStep] = ()
    scores: Sequence[Sequence[Measure | None]] = ()
    base_scores: Sequence[Measure | None] = ()
    base_option_scores: Sequence[Measure | None] = ()
    base_perplexity: Measure | None = None
    after: Sequence[Figures] = ()
    overlaps: Sequence[Mapping[str, Any]] | None = None
    versions: Sequence[ReportedVersion] = ()
