"""Settings of joint training. No torch."""

from core.learning.part import PartInfo
from core.learning.strict import Strict


class JointSettings(Strict):
    """Every row of every earlier task is learned again beside the new ones; nothing can be set."""


PART = PartInfo(
    axis="objective",
    name="joint",
    summary="Every row of every earlier task is learned again beside the new ones.",
    settings=JointSettings,
    rule="core.learning.objectives.joint.rule:Joint",
    source="baseline",
    memories=("every_row",),
    grows_with_tasks=True,
)
