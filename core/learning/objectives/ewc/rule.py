"""Elastic weight consolidation (arXiv 1612.00796): a weight may move the less, the more it mattered to earlier tasks.

    L = strength / 2 * sum over layers with a past of  sum F * U^2

F is the diagonal Fisher information, summed over earlier tasks; U, the task's own update, is the distance from the
weights as the last of them left them. The gradient with respect to U is ``strength * F * U``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.ewc.config import EwcSettings
from core.learning.objectives.port import Objective


class Ewc(Objective):
    """The objective ``ewc``."""

    name = "ewc"

    def __init__(self, settings: EwcSettings, *, fisher: Mapping[str, Tensor]) -> None:
        self._strength = settings.strength
        self._fisher = fisher

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient and return its value; 0 before there is a past."""
        if self._strength == 0:
            return 0.0
        total = 0.0
        for name, layer in layers.items():
            if name in self._fisher:
                update = layer.update()
                slope_OI = update.value_OI * self._fisher[name]
                total += float((slope_OI * update.value_OI).sum())
                update.add_gradient(slope_OI, weight=self._strength)
        return self._strength / 2 * total
