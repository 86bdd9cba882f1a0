"""Settings of the memory of the last factors. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class LastFactorsSettings(Strict):
    """The factors that the last task ended with; nothing can be set."""


PART = PartInfo(
    axis="memory",
    name="last_factors",
    summary="The factors that the last task ended with.",
    settings=LastFactorsSettings,
    rule="core.learning.memories.last_factors.rule:LastFactors",
    source="baseline",
    mixes_tasks=True,
)
