"""What the service reports of a model, as frozen values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from strata.client.result import Result


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
    """The figures over a version's ``n_tasks`` tasks, and over how many of them each is."""

    n_tasks: int
    oa: float | None = None
    oa_tasks: int = 0
    bwt: float | None = None
    bwt_tasks: int = 0
    forgetting: float | None = None
    forgetting_tasks: int = 0
    plasticity: float | None = None
    plasticity_tasks: int = 0
    fwt_vs_scratch: float | None = None
    fwt_vs_scratch_tasks: int = 0


class ReportedVersion(Result):
    """One version of a report; ``gate`` says the verdict and each rule's finding, None where it was not asked."""

    version: str
    state: str
    parent: str | None = None
    task: str | None = None
    aliases: Sequence[str] = ()
    made_at: str | None = None
    gate: Mapping[str, Any] | None = None


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
