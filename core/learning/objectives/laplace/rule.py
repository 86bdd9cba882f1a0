"""The Laplace penalty (arXiv 1805.07810): the growth of the earlier tasks' losses, as their curvature foretells it.

    L = strength / 2 * sum over layers with a past of  tr(U A U' G)                    U = s gain Delta

A and G are the Kronecker factors of the layer's Fisher information, kept as thin factors a, b with ``A ~ a' a`` and
``G ~ b' b``: the term is ``|| b U a' ||^2`` and its gradient with respect to U ``strength * b' (b U a') a``. It is the
Gaussian that EWC would lay around the earlier weights, but with the correlations within inputs and within outputs.
The term is in nats a row of the earlier tasks, whatever the model's depth: strength 1 takes the estimate at its word,
which holds for small updates only, and says next to nothing of a task that is known by heart.
"""

from collections.abc import Mapping

import torch

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.curvature.rule import Curvature
from core.learning.objectives.laplace.config import LaplaceSettings
from core.learning.objectives.port import Objective


class Laplace(Objective):
    """The objective ``laplace``."""

    name = "laplace"

    def __init__(self, settings: LaplaceSettings, *, curvature: Curvature) -> None:
        self._strength = settings.strength
        self._curvature = curvature

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient to the factors and return its value; 0 before there is a past."""
        if self._strength == 0:
            return 0.0
        total = 0.0
        for name, layer in layers.items():
            if name not in self._curvature:
                continue
            bend, update = self._curvature[name], layer.update()
            inputs_KI, outputs_KO = bend.inputs_KI.to(update.value_OI), bend.outputs_KO.to(update.value_OI)
            cost_KK = outputs_KO @ (update.value_OI @ inputs_KI.T)
            total += float(cost_KK.square().sum())
            update.add_gradient(outputs_KO.T @ (cost_KK @ inputs_KI), weight=self._strength)
        return self._strength / 2 * total
