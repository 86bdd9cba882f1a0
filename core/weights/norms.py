"""How large a task's update is beside the weights that it changes, and whether the sums can be stored."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.weights.delta import Delta


def norm_ratios(model: nn.Module, delta: Delta) -> dict[str, float]:
    """Return, by module, the Frobenius norm of its update over that of its weight in ``model``, the base.

    A module whose weight is zero throughout has no ratio.
    """
    weights = {name: _norm(model.get_submodule(name).get_parameter("weight").detach()) for name in delta.modules}
    return {name: _norm(delta.modules[name].values) / norm for name, norm in weights.items() if norm > 0}


def count_non_finite(folded: Mapping[str, Tensor]) -> int:
    """Return how many entries are infinite or no number."""
    return sum(int((~torch.isfinite(tensor)).sum()) for tensor in folded.values())


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
