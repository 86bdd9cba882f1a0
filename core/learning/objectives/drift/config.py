"""Settings of the output-drift penalty. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class DriftSettings(Strict):
    """A penalty on changing what the adapted layers answer to the inputs of earlier tasks."""

    strength: float = Field(
        600.0,
        ge=0,
        le=1e12,
        description="Factor of the mean relative drift of the layers' outputs; 0 switches the penalty off.",
    )


PART = PartInfo(
    axis="objective",
    name="drift",
    summary="Penalty on changing what the layers answer to the inputs of earlier tasks.",
    settings=DriftSettings,
    rule="core.learning.objectives.drift.rule:Drift",
    source="arXiv:2103.07113",
    requires=frozenset({"linear_delta"}),
    memories=("input_moments",),
)
