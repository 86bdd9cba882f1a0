"""Settings of the memory of curvature. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class CurvatureSettings(Strict):
    """How much is kept of how a task's loss bends: a statistic, never a row."""

    rank: int = Field(
        64, ge=1, le=4096, description="Directions that are kept of each layer's inputs, and of its outputs."
    )
    max_rows: int = Field(64, ge=1, le=100_000, description="Training rows of each task that are looked at.")


PART = PartInfo(
    axis="memory",
    name="curvature",
    summary="Kronecker factors of the Fisher information of the adapted layers, of fixed size; no rows.",
    settings=CurvatureSettings,
    rule="core.learning.memories.curvature.rule:Curvature",
    source="arXiv:1805.07810",
    mixes_tasks=True,
)
