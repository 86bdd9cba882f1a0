"""The ELLA penalty (arXiv 2601.02232): it costs to change again the weights that earlier tasks changed.

    L = lambda / M * sum over layers with a past of || U * W_past ||_F^2         U = s gain Delta

M counts the adapted layers that have a past. The gradient with respect to U is ``2 lambda / M * W_past^2 * U``; it is
added once per optimiser step, after backward and before clipping, and needs no autograd graph. Theta gets none.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.update_penalty import Cost, UpdatePenalty, evenly


class Ella(UpdatePenalty):
    """The objective ``ella``."""

    name = "ella"

    def __init__(self, settings: EllaSettings, *, w_past: Mapping[str, Tensor]) -> None:
        self._strength = settings.strength
        self._w_past = w_past
        self.sparse = settings.delta == "sparse"

    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return the strength, shared by the layers with a past."""
        return evenly(self._strength, [name for name in layers if name in self._w_past])

    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return the squared norm of the update times the past, entry by entry."""
        past_OI = self._w_past[name][rows]
        overlap_OI = update_OI * past_OI
        squares = torch.dot(overlap_OI.view(-1), overlap_OI.view(-1))
        return Cost(squares, overlap_OI.mul_(past_OI), factor=2.0)
