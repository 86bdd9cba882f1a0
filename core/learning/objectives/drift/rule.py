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

from torch import Tensor

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.update_penalty import Cost, LowRankCost, UpdatePenalty, evenly


class Drift(UpdatePenalty):
    """The objective ``drift``."""

    name = "drift"

    def __init__(self, settings: DriftSettings, *, input_moments: InputMoments) -> None:
        self._settings = settings
        self._moments = input_moments

    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return the strength, shared by the layers with a past, over each one's ``||W F'||^2``."""
        shares = evenly(self._settings.strength, [name for name in layers if name in self._moments])
        return {name: share / self._moments[name].reach for name, share in shares.items()}

    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return ``||U F'||^2`` of some outputs."""
        del rows
        factor_KI = self._moments[name].factor_KI.to(update_OI)
        drift_OK = update_OI @ factor_KI.T
        return Cost(drift_OK.square().sum(), drift_OK @ factor_KI, factor=2.0)

    def low_rank_cost(self, name: str, factors: Factors) -> LowRankCost:
        """Return ``||s B (A F')||^2``."""
        factor_KI = self._moments[name].factor_KI.to(factors.a_RI)
        seen_RK = factors.a_RI @ factor_KI.T
        drift_OK = factors.scale * (factors.b_OR @ seen_RK)
        slope_OK = 2 * factors.scale * drift_OK
        return LowRankCost(drift_OK.square().sum(), factors.b_OR.T @ slope_OK @ factor_KI, slope_OK @ seen_RK.T)
