"""The O-LoRA penalty (arXiv 2310.14152): it costs to read input directions that earlier tasks read.

    L = strength * sum over layers with a past of  sum |A_past A'|      +  shrinkage * sum over layers of (||A|| + ||B||)

A_past holds the factors A of all earlier tasks, one below the other; the first task pays nothing at all. With S the signs of ``A_past A'`` the gradient with
respect to A is ``strength * S' A_past``. Only new factors are trained; the past is fixed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.olora.config import OLoraSettings
from core.learning.objectives.port import Objective


class OLora(Objective):
    """The objective ``olora``."""

    name = "olora"

    def __init__(self, settings: OLoraSettings, *, past_factors: Mapping[str, Tensor]) -> None:
        self._settings = settings
        self._past = past_factors

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient to the factors and return its value; 0 before there is a past."""
        if not self._past:
            return 0.0
        pairs = [(layer.factors, self._past.get(name)) for name, layer in layers.items()]
        return sum(self._layer(factors, past_PI) for factors, past_PI in pairs if factors is not None)

    def _layer(self, factors: Factors, past_PI: Tensor | None) -> float:
        value = 0.0
        if past_PI is not None and self._settings.strength:
            past_PI = past_PI.to(factors.a_RI.dtype)
            overlap_PR = past_PI @ factors.a_RI.T
            value += self._settings.strength * float(overlap_PR.abs().sum())
            factors.add_gradients(overlap_PR.sign().T @ past_PI * self._settings.strength)
        if self._settings.shrinkage:
            for factor in (factors.a_RI, factors.b_OR):
                norm = float(factor.norm())
                value += self._settings.shrinkage * norm
            factors.add_gradients(self._shrinking(factors.a_RI), self._shrinking(factors.b_OR))
        return value

    def _shrinking(self, factor: Tensor) -> Tensor:
        norm = factor.norm()
        return factor * (self._settings.shrinkage / norm) if norm > 0 else torch.zeros_like(factor)
