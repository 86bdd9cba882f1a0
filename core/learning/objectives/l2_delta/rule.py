"""The L2 penalty on the update (arXiv 2203.17269): it costs to leave the weights as the earlier tasks left them.

    L = strength * sum over layers of ||U||_F^2         U the update of a layer

For an update that is exactly ``s B A`` no matrix of its size is formed: ``||U||^2 = s^2 tr((B'B)(AA'))``, with gradients
``2 strength s^2 (B'B) A`` and ``2 strength s^2 B (AA')``. There is no need of a past: the first task pays as well.
"""

from collections.abc import Mapping

import torch

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.l2_delta.config import L2DeltaSettings
from core.learning.objectives.port import Objective


class L2Delta(Objective):
    """The objective ``l2_delta``."""

    name = "l2_delta"

    def __init__(self, settings: L2DeltaSettings) -> None:
        self._strength = settings.strength

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient and return its value."""
        if self._strength == 0:
            return 0.0
        return self._strength * sum(self._squared_norm(layer) for layer in layers.values())

    def _squared_norm(self, layer: AdaptedLayer) -> float:
        if layer.factors is not None and layer.low_rank:
            return self._by_factors(layer.factors)
        update = layer.update()
        squared = float(update.value_OI.square().sum())
        update.add_gradient(update.value_OI, weight=2 * self._strength)
        return squared

    def _by_factors(self, factors: Factors) -> float:
        gram_b_RR = factors.b_OR.T @ factors.b_OR
        gram_a_RR = factors.a_RI @ factors.a_RI.T
        weight = 2 * self._strength * factors.scale**2
        factors.add_gradients(weight * (gram_b_RR @ factors.a_RI), weight * (factors.b_OR @ gram_a_RR))
        return factors.scale**2 * float((gram_b_RR * gram_a_RR).sum())
