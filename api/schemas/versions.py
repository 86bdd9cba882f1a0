"""Versions, aliases and the score matrix."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Request, View
from api.schemas.rebuilds import RebuildView
from api.schemas.tasks import Identifier
from core.domain.gate_report import GateReport, Verdict

Reference = Annotated[str, Field(min_length=1, max_length=200)]


class VersionView(View):
    """What a job leaves; immutable."""

    id: str
    object: Literal["version"] = "version"
    name: str = Field(description="`model@number`.")
    number: int
    state: str
    model_id: str
    parent_id: str | None
    task_id: str | None
    job_id: str | None
    chain: list[str]
    digest: str
    manifest_sha256: str | None
    delta: dict[str, Any] | None
    gate: GateReport | None = Field(description="What the gate found; null for what it was not asked about.")
    rebuild: RebuildView | None = Field(description="Of a version that leaves tasks out: what that came to.")
    aliases: list[str]
    created_at: str


class LineageEntryView(View):
    """One node of the task graph."""

    version_id: str
    name: str
    state: str
    parent_id: str | None
    task_id: str | None
    task: str | None
    aliases: list[str]


class LineageView(View):
    """Every version of a model, by number."""

    object: Literal["lineage"] = "lineage"
    model_id: str
    data: list[LineageEntryView]


class AliasView(View):
    """A movable name for a version."""

    object: Literal["alias"] = "alias"
    name: str
    version_id: str
    version: str
    moves: int
    moved_at: str


class RollbackRequest(Request):
    """Let `latest` name an earlier version."""

    version: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A number, `name@3`, `name:alias` or a version's id; without it, the parent of what is named now.",
    )
    reason: str = Field(default="", max_length=1_000, description="Kept in the alias's history.")
    expected_version: Identifier | None = Field(
        default=None, description="Refuse (412) unless the alias names this version now. `If-Match` says the same."
    )


class PromotionRequest(RollbackRequest):
    """Let an alias name another ready version of its model."""

    version: str = Field(
        min_length=1, max_length=200, description="A number, `name@3`, `name:alias` or a version's id."
    )


class RebuildRequest(Request):
    """Build a version of the other tasks' deltas."""

    leave_out: list[Reference] = Field(
        min_length=1, max_length=1_000, description="Names or ids of the tasks to leave out."
    )
    version: Reference | None = Field(
        default=None,
        description="The version to leave them out of: a number, `name@3`, `name:alias` or a version's id; without it, "
        "the one that `latest` names when the job starts.",
    )
    expected_parent: Identifier | None = Field(
        default=None, description="Refuse the job unless `latest` names this version when it starts."
    )
    promote: bool = Field(
        default=True,
        description="Whether `latest` moves to the new version, if it still names the one that it was asked of.",
    )
    timeout_seconds: int | None = Field(
        default=None, ge=1, le=30 * 86_400, description="The job fails when it has run this long."
    )


class AliasMoveView(View):
    """One move of an alias."""

    object: Literal["alias_move"] = "alias_move"
    n: int
    from_version_id: str | None
    to_version_id: str
    actor: str
    reason: str
    gate: Verdict | None = Field(description="What the gate said of the version that it names since then.")
    at: str


class FigureCountsView(View):
    """Over how many tasks each figure is: those whose scores it takes were measured."""

    oa: int
    bwt: int
    forgetting: int
    plasticity: int
    fwt_vs_scratch: int


class MatrixView(View):
    """Scores of every task after every task, and what follows from them; see `core.services.evaluations`."""

    object: Literal["score_matrix"] = "score_matrix"
    model_id: str
    tasks: list[str]
    task_ids: list[str]
    metrics: list[str] = Field(description="By which each task is scored; a share from 0 to 1, higher is better.")
    learned_in: list[int] = Field(description="For each task the row of the version that learned it, from 0.")
    left_out: list[bool] = Field(
        description="For each task whether `latest` is without it; the figures are over the others."
    )
    versions: list[str] = Field(description="Version ids along the lineage of `latest`, one a row, oldest first.")
    numbers: list[int]
    scores: list[list[float | None]]
    low: list[list[float | None]] = Field(description="Lower bounds of the scores' 95 % intervals.")
    high: list[list[float | None]]
    n_rows: list[list[int | None]] = Field(description="On how many held-out rows each score was measured.")
    chance: list[float | None] = Field(description="For each task, what an answer gets that ignores its prompt.")
    base_scores: list[float | None]
    base_low: list[float | None]
    base_high: list[float | None]
    base_option_scores: list[float | None]
    scratch_scores: list[float | None] = Field(description="What `evaluation.scratch_score` said of each task.")
    oa: float | None
    bwt: float | None
    forgetting: float | None
    plasticity: float | None
    fwt_vs_scratch: float | None
    n_tasks: FigureCountsView
    density: list[float | None]
    overlap_shared: list[list[float | None]] = Field(
        description="Of the weights that the sparser of two versions' deltas changes, the share that both change."
    )
    overlap_cosine: list[list[float | None]]
    general_perplexity: list[float | None] = Field(description="Of each version, on the text that comes with Strata.")
    base_general_perplexity: float | None
    general_drift: list[float | None] = Field(description="By which share of the base's that has grown.")


class DifferenceView(View):
    """How a score differs from another version's; see `core.services.comparisons`."""

    value: float = Field(description="The other version's.")
    difference: float = Field(description="This one's less the other's; of perplexities, of their logarithms.")
    low: float | None = Field(description="Lower bound of its 95 % interval; null without the same rows.")
    high: float | None
    n_better: int | None
    n_worse: int | None
    p_value: float | None = Field(description="Of the exact sign test on the rows that changed.")


class VersionScoreView(View):
    """One score of a version, on a task or, without one, on the general text."""

    task: str | None
    task_id: str | None
    metric: str
    value: float
    low: float | None
    high: float | None
    n_rows: int
    chance: float | None
    rows_sha256: str | None
    against: DifferenceView | None


class VersionScoresView(View):
    """Every score of a version, alone or beside another's."""

    object: Literal["version_scores"] = "version_scores"
    version_id: str
    against_id: str | None
    scores: list[VersionScoreView]
