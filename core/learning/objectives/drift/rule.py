"""The output-drift penalty: it costs to change what a layer answers to the inputs that earlier tasks gave it.

With C the second moment of those inputs to a layer (the mean of x x' over their tokens) and U its update, the mean
squared change of its output is ``E ||U x||^2 = tr(U C U')``. Relative to the size of the output itself:

    L = strength / M * sum over layers with a past of  tr(U C U') / tr(W C W')         U = s gain Delta

C is kept as a thin factor F with C ~ F' F, so the term is ``||U F'||^2 / ||W F'||^2`` and its gradient with respect to
U is ``2 strength / M / ||W F'||^2 * (U F') F``. This is the soft form of training in the null space of earlier
features' covariance (Adam-NSCL, arXiv 2103.07113); being a penalty on the gated update itself, it stays true when the
gate makes the update sparse, where a projection of the factors would not. While the update is exactly ``s B A``, no
matrix of its size is formed: ``U F' = s B (A F')``.
"""

from collections.abc import Mapping

import torch

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.input_moments.rule import InputMoments, Moment
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.port import Objective


class Drift(Objective):
    """The objective ``drift``."""

    name = "drift"

    def __init__(self, settings: DriftSettings, *, input_moments: InputMoments) -> None:
        self._settings = settings
        self._moments = input_moments

    @torch.no_grad()
    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient to the factors and return its value; 0 before there is a past."""
        with_past = [name for name in layers if name in self._moments]
        if not with_past or self._settings.strength == 0:
            return 0.0
        strength = self._settings.strength / len(with_past)
        return sum(
            _drift(layers[name], self._moments[name], strength / self._moments[name].reach) for name in with_past
        )


def _drift(layer: AdaptedLayer, moment: Moment, weight: float) -> float:
    """Add the gradient of ``weight ||U F'||^2`` and return its value."""
    if layer.factors is not None and layer.low_rank:
        return _by_factors(layer.factors, moment, weight)
    update = layer.update()
    factor_KI = moment.factor_KI.to(update.value_OI)
    drift_OK = update.value_OI @ factor_KI.T
    update.add_gradient(drift_OK @ factor_KI, weight=2 * weight)
    return weight * float(drift_OK.square().sum())


def _by_factors(factors: Factors, moment: Moment, weight: float) -> float:
    factor_KI = moment.factor_KI.to(factors.a_RI)
    seen_RK = factors.a_RI @ factor_KI.T
    drift_OK = factors.scale * (factors.b_OR @ seen_RK)
    slope = 2 * weight * factors.scale
    factors.add_gradients(slope * (factors.b_OR.T @ drift_OK @ factor_KI), slope * (drift_OK @ seen_RK.T))
    return weight * float(drift_OK.square().sum())
