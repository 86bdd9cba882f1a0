"""How far two tasks' updates touch the same weights."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.delta import Delta, ModuleDelta


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two deltas compared, over all modules.

    Attributes:
        shared: of the entries that the sparser delta changes, the share that the other changes too, 0 to 1.
        cosine: of the two updates as vectors, -1 to 1; 0 where one of them changes nothing.
    """

    shared: float
    cosine: float


def overlap(left: Delta, right: Delta) -> Overlap:
    """Compare two deltas of one base model; a module that only one of them names is unchanged by the other."""
    shared = 0
    product = 0.0
    for name in left.modules.keys() & right.modules.keys():
        count, dot = _compare(left.modules[name], right.modules[name])
        shared += count
        product += dot
    smaller = min(left.nnz, right.nnz)
    lengths = math.sqrt(_squares(left) * _squares(right))
    return Overlap(shared / smaller if smaller else 0.0, product / lengths if lengths else 0.0)


def _compare(left: ModuleDelta, right: ModuleDelta) -> tuple[int, float]:
    """Return how many entries both change, and the sum of their products."""
    sparser, other = sorted((left, right), key=lambda module: (module.indices is None, module.nnz))
    if sparser.indices is None:
        both = (left.values != 0) & (right.values != 0)
        return int(both.sum()), float((left.values.double() * right.values.double()).sum())
    mine, theirs = sparser.values.double(), _at(other, sparser.indices.long())
    return int((theirs != 0).sum()), float(mine @ theirs)


def _at(module: ModuleDelta, places: Tensor) -> Tensor:
    """Return a module's values at flat positions, zero where it changes nothing."""
    if module.indices is None:
        return module.values.reshape(-1)[places].double()
    if not module.nnz:
        return torch.zeros(len(places), dtype=torch.float64)
    own = module.indices.long()
    found = torch.searchsorted(own, places).clamp(max=len(own) - 1)
    return torch.where(own[found] == places, module.values[found].double(), 0.0)


def _squares(delta: Delta) -> float:
    return sum(float(module.values.double().square().sum()) for module in delta.modules.values())
