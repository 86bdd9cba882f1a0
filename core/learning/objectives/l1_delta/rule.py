"""The N-LoRA penalty (arXiv 2410.10179): it costs to change an entry at all, so that tasks change few and collide less.

    L = strength * sum over layers of sum |U|         U = s B A, the update of a layer

The gradient with respect to U is ``strength * sign(U)``. There is no need of a past: the first task pays as well.
"""

from collections.abc import Mapping

from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.l1_delta.config import L1DeltaSettings
from core.learning.objectives.update_penalty import Cost, UpdatePenalty


class L1Delta(UpdatePenalty):
    """The objective ``l1_delta``."""

    name = "l1_delta"

    def __init__(self, settings: L1DeltaSettings) -> None:
        self._strength = settings.strength

    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return the strength for every layer."""
        return dict.fromkeys(layers, self._strength) if self._strength else {}

    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return the sum of magnitudes."""
        del name, rows
        return Cost(update_OI.abs().sum(), update_OI.sign())
