"""Settings of the N-LoRA penalty (arXiv 2410.10179). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class L1DeltaSettings(Strict):
    """A penalty on the absolute size of every entry of the update.

    The default is for some ten million adapted entries, as the query and value projections of a model of 135 million
    parameters have: its gradient is then some hundredths of the norm to which gradients are clipped. Fewer entries want more.
    """

    strength: float = Field(1e-5, ge=0, le=1e12, description="Factor of the sum of |U|; 0 switches the penalty off.")


PART = PartInfo(
    axis="objective",
    name="l1_delta",
    summary="L1 penalty on the update, which makes it sparse so that tasks collide less.",
    settings=L1DeltaSettings,
    rule="core.learning.objectives.l1_delta.rule:L1Delta",
    source="arXiv:2410.10179",
    requires=frozenset({"linear_delta"}),
)
