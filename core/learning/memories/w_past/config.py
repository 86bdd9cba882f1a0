"""Settings of the memory W_past. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class WPastSettings(Strict):
    """The sum of all earlier updates; nothing can be set."""


PART = PartInfo(
    axis="memory",
    name="w_past",
    summary="The sum of all earlier updates, read from the version's chain.",
    settings=WPastSettings,
    rule="core.learning.memories.w_past.rule:WPast",
    source="arXiv:2601.02232",
)
