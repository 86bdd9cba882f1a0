"""Settings of the reservoir. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class ReservoirSettings(Strict):
    """A uniform sample of fixed size of all rows that were ever learned."""

    capacity: int = Field(500, ge=1, le=1_000_000, description="Rows that are kept, over all tasks.")


PART = PartInfo(
    axis="memory",
    name="reservoir",
    summary="A uniform sample, of fixed size, of the rows of all tasks.",
    settings=ReservoirSettings,
    rule="core.learning.memories.reservoir.rule:Reservoir",
    source="arXiv:1902.10486",
    stores_rows=True,
)
