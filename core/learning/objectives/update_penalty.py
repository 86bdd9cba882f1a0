"""Objectives that are sums over layers and over blocks of rows of their updates: one look at an update serves them all.

Forming an update costs several passes over its entries, and so does leading a gradient back to the factors. So the
update of each block is formed once for all of a method's penalties, their gradients are added up, and the sum goes back
once. Shapes: I inputs of a layer, O outputs, R rank.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.port import Objective


@dataclass(frozen=True, slots=True)
class Cost:
    """What a block of an update costs, not yet weighted.

    Attributes:
        value: a scalar.
        gradient_OI: with respect to the block, less the factor; it may be the block itself.
        factor: of the gradient; it is not applied to every entry.
    """

    value: Tensor
    gradient_OI: Tensor
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class LowRankCost:
    """What an update that is exactly ``s B A`` costs, not yet weighted, with the gradients of its factors."""

    value: Tensor
    grad_a_RI: Tensor
    grad_b_OR: Tensor


class UpdatePenalty(Objective, ABC):
    """An objective ``sum over layers of weight * cost(U)``, whose cost is a sum over blocks of rows of the update U.

    Attributes:
        sparse: whether U has only the entries that are kept.
    """

    sparse: bool = False

    @abstractmethod
    def weights(self, layers: Mapping[str, AdaptedLayer]) -> Mapping[str, float]:
        """Return the weight of each layer's cost; layers that cost nothing are left out."""

    @abstractmethod
    def cost(self, name: str, update_OI: Tensor, rows: slice) -> Cost:
        """Return the cost of some rows of a layer's update, which must be left as they are."""

    def low_rank_cost(self, name: str, factors: Factors) -> LowRankCost | None:
        """Return the cost of the whole update by its factors; None where there is no cheaper way than by its entries."""
        del name, factors
        return None

    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the penalty's gradient and return its value; 0 where no layer costs anything.

        Not to be overridden: a method's penalties are added together, by `add_gradients`.
        """
        return add_gradients([self], layers)[self.name]


@torch.no_grad()
def add_gradients(objectives: Sequence[Objective], layers: Mapping[str, AdaptedLayer]) -> dict[str, float]:
    """Add the gradients of all terms known in closed form, and return the terms' values by objective."""
    penalties = [objective for objective in objectives if isinstance(objective, UpdatePenalty)]
    weights = {penalty.name: penalty.weights(layers) for penalty in penalties}
    terms: dict[str, list[Tensor]] = {penalty.name: [] for penalty in penalties}
    for name, layer in layers.items():
        at_work = [penalty for penalty in penalties if name in weights[penalty.name]]
        by_entries: dict[bool, list[UpdatePenalty]] = {}
        for penalty in at_work:
            weight = weights[penalty.name][name]
            value = _by_factors(penalty, name, layer, weight)
            if value is None:
                by_entries.setdefault(penalty.sparse, []).append(penalty)
            else:
                terms[penalty.name].append(value)
        for sparse, together in by_entries.items():
            for rows in layer.row_blocks():
                update = layer.update(sparse=sparse, rows=rows)
                costs = [penalty.cost(name, update.value_OI, rows) for penalty in together]
                weighed = [weights[penalty.name][name] for penalty in together]
                for penalty, cost, weight in zip(together, costs, weighed, strict=True):
                    terms[penalty.name].append(weight * _wide(cost.value))
                gradient_OI, weight = _sum(costs, weighed)
                update.add_gradient(gradient_OI, weight=weight)
    return {
        objective.name: _total(terms[objective.name]) if objective.name in terms else objective.add_gradient(layers)
        for objective in objectives
    }


def evenly(strength: float, names: Sequence[str]) -> dict[str, float]:
    """Return a strength shared by layers, so that it depends on no model's depth; nothing for a strength of 0."""
    return dict.fromkeys(names, strength / len(names)) if strength and names else {}


def _by_factors(penalty: UpdatePenalty, name: str, layer: AdaptedLayer, weight: float) -> Tensor | None:
    if layer.factors is None or not layer.low_rank:
        return None
    cost = penalty.low_rank_cost(name, layer.factors)
    if cost is None:
        return None
    layer.factors.add_gradients(weight * cost.grad_a_RI, weight * cost.grad_b_OR)
    return weight * _wide(cost.value)


def _sum(costs: Sequence[Cost], weights: Sequence[float]) -> tuple[Tensor, float]:
    """Return a matrix and a number whose product is the gradient of all costs; the largest weight is the number."""
    weighed = [(cost.gradient_OI, cost.factor * weight) for cost, weight in zip(costs, weights, strict=True)]
    (total_OI, unit), *others = sorted(weighed, key=lambda each: -abs(each[1]))
    for gradient_OI, weight in others:
        total_OI = torch.add(total_OI, gradient_OI, alpha=weight / unit)
    return total_OI, unit


def _wide(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _total(terms: list[Tensor]) -> float:
    return float(torch.stack(terms).sum()) if terms else 0.0
