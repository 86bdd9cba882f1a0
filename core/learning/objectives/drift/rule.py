"""The output-drift penalty: it costs to change what a layer answers to the inputs that earlier tasks gave it.

With C the second moment of those inputs to a layer (the mean of x x' over their tokens) and U its update, the mean
squared change of its output is ``E ||U x||^2 = tr(U C U')``. Relative to the size of the output itself:

    L = strength / M * sum over layers with a past of  tr(U C U') / tr(W C W')         U = s gain Delta

C is kept as a thin factor F with C ~ F' F, so the term is ``||U F'||^2 / ||W F'||^2`` and its gradient with respect to
U is ``2 strength / M / ||W F'||^2 * (U F') F``. This is the soft form of training in the null space of earlier
features' covariance (Adam-NSCL, arXiv 2103.07113); being a penalty on the gated update itself, it stays true when the
gate makes the update sparse, where a projection of the factors would not.
"""

from collections.abc import Mapping

import torch

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.input_moments.rule import InputMoments
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
        total = 0.0
        for name in with_past:
            moment = self._moments[name]
            update = layers[name].update()
            factor_KI = moment.factor_KI.to(update.value_OI)
            weight = self._settings.strength / len(with_past) / moment.reach
            drift_OK = update.value_OI @ factor_KI.T
            total += weight * float(drift_OK.square().sum())
            update.add_gradient(drift_OK @ factor_KI, weight=2 * weight)
        return total
