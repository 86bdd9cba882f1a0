"""Settings of the memory of every row. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class EveryRowSettings(Strict):
    """All rows of all tasks; nothing can be set."""


PART = PartInfo(
    axis="memory",
    name="every_row",
    summary="Every row of every task.",
    settings=EveryRowSettings,
    rule="core.learning.memories.every_row.rule:EveryRow",
    source="baseline",
    stores_rows=True,
    grows_with_tasks=True,
)
