"""The N-LoRA penalty (arXiv 2410.10179): it costs to change an entry at all, so that tasks change few and collide less.

    L = strength * sum over layers of sum |U|         U = s B A, the update of a layer

The gradient with respect to U is ``strength * sign(U)``. There is no need of a past: the first task pays as well.
"""

from collections.abc import Mapping

import torch

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.l1_delta.config import L1DeltaSettings
from core.learning.objectives.port import Objective


class L1Delta(Objective):
    """The objective ``l1_delta``."""

    name = "l1_delta"

    def __init__(self, settings: L1DeltaSettings) -> None:
        self._strength = settings.strength

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient and return its value."""
        if self._strength == 0:
            return 0.0
        total = 0.0
        for layer in layers.values():
            update = layer.update()
            total += float(update.value_OI.abs().sum())
            update.add_gradient(update.value_OI.sign(), weight=self._strength)
        return self._strength * total
