"""Settings of learning without forgetting (arXiv 1606.09282). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class LwfSettings(Strict):
    """A penalty on answering the new task's rows otherwise than the model did before the task.

    Both defaults are the published ones.
    """

    strength: float = Field(1.0, ge=0, le=1e6, description="Factor of the divergence; 0 switches the penalty off.")
    temperature: float = Field(2.0, gt=0, le=100, description="Both distributions are softened by it.")


PART = PartInfo(
    axis="objective",
    name="lwf",
    summary="Divergence from what the model answered to these rows before the task.",
    settings=LwfSettings,
    rule="core.learning.objectives.lwf.rule:Lwf",
    source="arXiv:1606.09282",
    requires=frozenset({"free_teacher"}),
)
