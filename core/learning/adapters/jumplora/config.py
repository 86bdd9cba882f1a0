"""Settings of the JumpLoRA gate (arXiv 2604.16171). No torch."""

from typing import Literal, Self

from pydantic import Field, model_validator

from core.learning.adapters.config import LowRankSettings
from core.learning.part import PartInfo

ThresholdMode = Literal["global", "per_block"]


class JumpLoraSettings(LowRankSettings):
    """LoRA whose product is gated entry by entry: kept where its magnitude is over a learned threshold."""

    threshold: ThresholdMode = Field(
        "global",
        description="One learned threshold for the model, or one for each transformer block.",
    )
    bandwidth: float = Field(1e-3, gt=0, le=1, description="Width of the window through which the threshold learns.")
    initial_log_threshold: float = Field(-4.7, ge=-50, le=5, description="Log of the threshold before it is started.")
    density: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of the entries that the update keeps: the threshold follows it, from its start to the end. "
        "Without it the threshold learns, as published.",
    )
    first_interpolation: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the steps after which the threshold starts and the gate begins to close.",
    )
    final_interpolation: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of the steps after which the gate is fully closed.",
    )

    @model_validator(mode="after")
    def _ramp_runs_forward(self) -> Self:
        if self.final_interpolation < self.first_interpolation:
            raise ValueError("final_interpolation must not be below first_interpolation")
        return self


PART = PartInfo(
    axis="adapter",
    name="jumplora",
    summary="LoRA whose product is gated entry by entry by a learned threshold: a sparse update.",
    settings=JumpLoraSettings,
    rule="core.learning.adapters.jumplora.rule:JumpLora",
    source="arXiv:2604.16171",
    provides=frozenset({"linear_delta", "mergeable", "sparse_delta", "has_factors", "single_active", "free_teacher"}),
)
