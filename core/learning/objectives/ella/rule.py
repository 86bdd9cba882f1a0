"""The ELLA penalty (arXiv 2601.02232): it costs to change again the weights that earlier tasks changed.

    L = lambda / M * sum over layers with a past of || U * W_past ||_F^2         U = s gain Delta

M counts the adapted layers that have a past. The gradient with respect to U is ``2 lambda / M * W_past^2 * U``; it is
added once per optimiser step, after backward and before clipping, and needs no autograd graph. Theta gets none.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.learning.adapters.factors import row_blocks
from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.port import Objective


class Ella(Objective):
    """The objective ``ella``."""

    name = "ella"

    def __init__(self, settings: EllaSettings, *, w_past: Mapping[str, Tensor]) -> None:
        self._settings = settings
        self._w_past = w_past

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient to the factors and return its value; 0 before there is a past."""
        with_past = [name for name in layers if name in self._w_past]
        if not with_past or self._settings.strength == 0:
            return 0.0
        weight = self._settings.strength / len(with_past)
        squares = []
        for name in with_past:
            past_OI = self._w_past[name]
            for rows in row_blocks(past_OI):
                update = layers[name].update(sparse=self._settings.delta == "sparse", rows=rows)
                overlap_OI = update.value_OI.mul_(past_OI[rows])
                squares.append(torch.dot(overlap_OI.view(-1), overlap_OI.view(-1)))
                update.add_gradient(overlap_OI.mul_(past_OI[rows]), weight=2 * weight)
        return weight * float(torch.stack(squares).sum())
