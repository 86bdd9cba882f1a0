"""The L2 penalty on the update (arXiv 2203.17269): it costs to leave the weights as the earlier tasks left them.

    L = strength * sum over layers of ||U||_F^2         U the update of a layer

For an update that is exactly ``s B A`` no matrix of its size is formed: ``||U||^2 = s^2 tr((B'B)(AA'))``, with gradients
``2 strength s^2 (B'B) A`` and ``2 strength s^2 B (AA')``. There is no need of a past: the first task pays as well.
"""

from collections.abc import Mapping

from torch import Tensor

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.l2_delta.config import L2DeltaSettings
from core.learning.objectives.update_penalty import Cost, LowRankCost, UpdatePenalty


class L2Delta(UpdatePenalty):
    """The objective ``l2_delta``."""

    name = "l2_delta"

    def __init__(self, settings: L2DeltaSettings) -> None:
        self._strength = settings.strength

    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return the strength for every layer."""
        return dict.fromkeys(layers, self._strength) if self._strength else {}

    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return the squared norm."""
        del name, rows
        return Cost(update_OI.square().sum(), update_OI, factor=2.0)

    def low_rank_cost(self, name: str, factors: Factors) -> LowRankCost:
        """Return the squared norm by the Gram matrices of the factors."""
        del name
        gram_b_RR = factors.b_OR.T @ factors.b_OR
        gram_a_RR = factors.a_RI @ factors.a_RI.T
        square = factors.scale**2
        return LowRankCost(
            square * (gram_b_RR * gram_a_RR).sum(),
            2 * square * (gram_b_RR @ factors.a_RI),
            2 * square * (factors.b_OR @ gram_a_RR),
        )
