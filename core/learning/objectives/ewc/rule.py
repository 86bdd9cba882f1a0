"""Elastic weight consolidation (arXiv 1612.00796): a weight may move the less, the more it mattered to earlier tasks.

    L = strength / 2 * sum over layers with a past of  sum F * U^2

F is the diagonal Fisher information, summed over earlier tasks; U, the task's own update, is the distance from the
weights as the last of them left them. The gradient with respect to U is ``strength * F * U``.
"""

from collections.abc import Mapping

from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.ewc.config import EwcSettings
from core.learning.objectives.update_penalty import Cost, UpdatePenalty


class Ewc(UpdatePenalty):
    """The objective ``ewc``."""

    name = "ewc"

    def __init__(self, settings: EwcSettings, *, fisher: Mapping[str, Tensor]) -> None:
        self._strength = settings.strength
        self._fisher = fisher

    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return half the strength for every layer with a past."""
        return {name: self._strength / 2 for name in layers if name in self._fisher} if self._strength else {}

    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return the sum of ``F U^2`` over some rows."""
        slope_OI = update_OI * self._fisher[name][rows]
        return Cost((slope_OI * update_OI).sum(), slope_OI, factor=2.0)
