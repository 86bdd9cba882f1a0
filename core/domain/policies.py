"""What a model's owner decides once for all its tasks: what may be done with rows, and what a version must show."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GatePolicy(_Policy):
    """What a new version must show before `latest` names it; see docs/explanation/the-gate.md.

    A task, or a change of the policy, gives some of these: what it leaves out stays as it is (`overlaid`).
    """

    enabled: bool = Field(default=True, description="Whether versions are judged at all.")
    floor: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The least score of the new task on its held-out rows; null asks for none.",
    )
    above_chance: bool = Field(
        default=True,
        description="Whether the new task must be answered better than by an answerer who understands nothing.",
    )
    max_mean_drop: float = Field(
        default=0.10, ge=0, le=1, description="How much the earlier tasks' scores may fall on average."
    )
    max_single_drop: float = Field(
        default=0.30, ge=0, le=1, description="How much the score of any one earlier task may fall."
    )
    min_rows: int = Field(
        default=20, ge=1, le=100_000, description="On fewer held-out rows chance and drops are not judged."
    )
    confidence: float = Field(
        default=0.99,
        ge=0.5,
        le=0.9999,
        description="How sure a figure must be: of being above chance to pass, of a drop over its limit to fail.",
    )
    max_norm_ratio: float = Field(
        default=10.0,
        gt=0,
        le=1_000,
        description="How large the change of any one layer may be, relative to its weight in the base (Frobenius norms).",
    )

    def overlaid(self, given: "GatePolicy") -> Self:
        """Return this policy with the fields that ``given`` was made with in their place."""
        return self.model_validate(self.model_dump() | given.asked)

    @property
    def asked(self) -> dict[str, Any]:
        """The fields that were given, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True)


class ModelPolicy(_Policy):
    """Chosen when the model is created; its gate may be changed later."""

    store_rows: bool = Field(
        default=False,
        description="Whether methods may keep rows of task files in the model's versions, as replay does.",
    )
    gate: GatePolicy = Field(default=GatePolicy(), description="What a new version must show before it is served.")
