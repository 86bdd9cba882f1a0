"""Settings of the O-LoRA penalty (arXiv 2310.14152). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class OLoraSettings(Strict):
    """A penalty on directions that the factors A of earlier tasks already read. The default strength is the published one."""

    strength: float = Field(0.5, ge=0, le=1e12, description="Factor of the sum of |A_past A'|; 0 switches it off.")
    shrinkage: float = Field(0.0, ge=0, le=1e12, description="Factor of the norms of the new factors.")


PART = PartInfo(
    axis="objective",
    name="olora",
    summary="Penalty on reading the same input directions as earlier tasks' factors.",
    settings=OLoraSettings,
    rule="core.learning.objectives.olora.rule:OLora",
    source="arXiv:2310.14152",
    requires=frozenset({"has_factors"}),
    memories=("past_factors",),
)
