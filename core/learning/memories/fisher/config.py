"""Settings of the memory of Fisher information. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class FisherSettings(Strict):
    """How much is looked at of each task: each row costs one forward and backward pass of its own."""

    max_rows: int = Field(64, ge=1, le=100_000, description="Training rows of each task that are looked at.")


PART = PartInfo(
    axis="memory",
    name="fisher",
    summary="Diagonal Fisher information of the adapted weights, summed over tasks; no rows.",
    settings=FisherSettings,
    rule="core.learning.memories.fisher.rule:Fisher",
    source="arXiv:1612.00796",
    mixes_tasks=True,
)
