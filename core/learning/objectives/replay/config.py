"""Settings of replay (arXiv 1902.10486). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class ReplaySettings(Strict):
    """Some rows of earlier tasks are learned again beside the new ones."""

    ratio: float = Field(
        0.25, ge=0, le=100, description="Remembered rows for each row of the task, as far as there are."
    )


PART = PartInfo(
    axis="objective",
    name="replay",
    summary="Rows of earlier tasks are learned again beside the new ones.",
    settings=ReplaySettings,
    rule="core.learning.objectives.replay.rule:Replay",
    source="arXiv:1902.10486",
    memories=("reservoir",),
)
