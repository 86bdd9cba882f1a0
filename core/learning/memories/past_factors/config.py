"""Settings of the memory of past factors. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class PastFactorsSettings(Strict):
    """The factor A of every earlier task; nothing can be set."""


PART = PartInfo(
    axis="memory",
    name="past_factors",
    summary="The factors A of all earlier tasks.",
    settings=PastFactorsSettings,
    rule="core.learning.memories.past_factors.rule:PastFactors",
    source="arXiv:2310.14152",
    grows_with_tasks=True,
    mixes_tasks=True,
)
