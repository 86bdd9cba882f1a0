"""Settings of elastic weight consolidation (arXiv 1612.00796). No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class EwcSettings(Strict):
    """A penalty on changing the weights that mattered to earlier tasks.

    The default halves the forgetting of tests/conformance/test_claims.py without harm to learning. No published value
    carries over: the size of the Fisher information depends on how it is averaged.
    """

    strength: float = Field(1e4, ge=0, le=1e12, description="Factor of half the sum of F U^2; 0 switches it off.")


PART = PartInfo(
    axis="objective",
    name="ewc",
    summary="Penalty on changing weights by how much they mattered to earlier tasks.",
    settings=EwcSettings,
    rule="core.learning.objectives.ewc.rule:Ewc",
    source="arXiv:1612.00796",
    requires=frozenset({"linear_delta"}),
    memories=("fisher",),
)
