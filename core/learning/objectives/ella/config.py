"""Settings of the ELLA penalty (arXiv 2601.02232). No torch."""

from typing import Literal

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class EllaSettings(Strict):
    """A penalty on changing again the weights that earlier tasks changed."""

    strength: float = Field(3e4, ge=0, le=1e12, description="Factor lambda of the penalty; 0 switches it off.")
    delta: Literal["interpolated", "sparse"] = Field(
        "interpolated",
        description="The update that is penalised: as the forward pass uses it, or only its kept entries.",
    )


PART = PartInfo(
    axis="objective",
    name="ella",
    summary="Penalty on changing again the weights that earlier tasks changed.",
    settings=EllaSettings,
    rule="core.learning.objectives.ella.rule:Ella",
    source="arXiv:2601.02232",
    requires=frozenset({"linear_delta"}),
    memories=("w_past",),
)
