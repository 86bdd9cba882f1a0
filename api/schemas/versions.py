"""Versions, aliases and the score matrix."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Request, View
from api.schemas.tasks import Identifier


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


class AliasMoveView(View):
    """One move of an alias."""

    object: Literal["alias_move"] = "alias_move"
    n: int
    from_version_id: str | None
    to_version_id: str
    actor: str
    reason: str
    at: str


class MatrixView(View):
    """Scores of every task after every task, and what follows from them; see `core.services.evaluations`."""

    object: Literal["score_matrix"] = "score_matrix"
    model_id: str
    tasks: list[str]
    task_ids: list[str]
    metrics: list[str] = Field(description="By which each task is scored; a share from 0 to 1, higher is better.")
    versions: list[str] = Field(description="Version ids, in the order in which the tasks were learned.")
    numbers: list[int]
    scores: list[list[float | None]]
    base_scores: list[float | None]
    base_option_scores: list[float | None]
    oa: float | None
    bwt: float | None
    forgetting: float | None
    plasticity: float | None
    density: list[float | None]
