"""The report of a model: what it learned, what it still knows, and from what it was made. Plain values.

What was not measured is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One score.

    Attributes:
        value: a share from 0 to 1, higher is better, unless it is said otherwise.
        low: lower end of its 95 % interval; ``high``: upper end.
        n_rows: held-out rows that it was measured on.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUsed:
    """The frozen network that the model stands on; ``digest`` is over its tensors."""

    name: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """One task of the lineage.

    Attributes:
        version: ``model@number``, the one that learned it.
        metric: by which the task is scored.
        method: the preset's name, if one was named.
        settings: the task's effective spec.
        left_out: whether `latest` was rebuilt without it.
    """

    task: str
    version: str
    metric: str
    method: str | None = None
    settings: Mapping[str, Any]
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One version of the lineage.

    Attributes:
        task: the one that it learned; None for a version that was rebuilt without others.
        left_out: the tasks that its parent holds and it does not.
        density: nonzero share of its delta, 0 to 1; ``delta_bytes``: the delta file's size.
        perplexity: of the general text, which no task is about: 1 or more, lower is better.
    """

    version: str
    task: str | None
    left_out: tuple[str, ...] = ()
    density: float | None = None
    delta_bytes: int | None = None
    perplexity: Measure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of continual learning over the ``n_tasks`` tasks of a version, see `core.services.evaluations`.

    Each figure says beside it over how many tasks it is: those whose scores it takes were measured.
    """

    n_tasks: int
    oa: float | None
    oa_tasks: int
    bwt: float | None
    bwt_tasks: int
    forgetting: float | None
    forgetting_tasks: int
    plasticity: float | None
    plasticity_tasks: int
    fwt_vs_scratch: float | None
    fwt_vs_scratch_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaOverlap:
    """What the updates of two steps have in common, named by their places in the lineage, from 0.

    Attributes:
        shared: of the entries that the sparser delta changes, the share that the other changes too, 0 to 1.
        cosine: of the two updates as vectors, -1 to 1.
    """

    earlier: int
    later: int
    shared: float
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What one rule of the gate said of a version, see `core.domain.gate_report`."""

    rule: str
    verdict: str
    limit: float | None
    figures: Mapping[str, float]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What the gate said of a version, rule by rule."""

    verdict: str
    findings: tuple[GateFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry:
    """One version of the model, on the lineage of `latest` or beside it; ``gate`` is None where it was not asked."""

    version: str
    state: str
    parent: str | None
    task: str | None
    aliases: tuple[str, ...]
    made_at: str
    digest: str
    gate: GateVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """Everything that is told of one model.

    Attributes:
        latest: the version that the lineage leads to.
        learned: the tasks, in the order of learning, also those that were left out since.
        lineage: the versions that lead to `latest`, without the base.
        scores: ``scores[i][t]`` is the score of step i of the lineage on task t.
        base_scores: of the base on each task; ``base_option_scores``: by option likelihood, where answers are labels.
        base_perplexity: of the base on the general text.
        after: the figures after each step.
        overlaps: of every pair of deltas that was compared; None where none was.
    """

    object: Literal["model_report"] = "model_report"
    model: str
    made_at: str
    created_at: str | None = None
    base: BaseUsed
    latest: str
    learned: tuple[Learned, ...]
    lineage: tuple[Step, ...]
    scores: tuple[tuple[Measure | None, ...], ...]
    base_scores: tuple[Measure | None, ...]
    base_option_scores: tuple[Measure | None, ...]
    base_perplexity: Measure | None = None
    after: tuple[Summary, ...]
    overlaps: tuple[DeltaOverlap, ...] | None
    versions: tuple[VersionEntry, ...]
