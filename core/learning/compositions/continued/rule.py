"""Continued training (SeqLoRA): one adapter for all tasks, trained on from where the last one left it.

The parent's weights hold the adapter's update as it was, ``s B0 A0``. It is taken out while the adapter, which begins
with A0 and B0, stands in its place; the task leaves the difference ``s B A - s B0 A0``. A higher rank than before adds
fresh rows to A0 and zero columns to B0, another scale is made up for in B: the update begins as it was. With a lower
rank, or on a module that was not adapted before, a fresh adapter begins on the weights as they are.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.learning.adapters.factors import Factors
from core.learning.adapters.port import Adapter
from core.learning.compositions.continued.config import ContinueSettings
from core.learning.compositions.port import linear_of, weight_of
from core.learning.memories.last_factors.rule import Ended
from core.weights import fold
from core.weights.delta import Delta
from core.weights.linear import outputs_first


class Continue:
    """The composition ``continue``."""

    def __init__(self, settings: ContinueSettings | None = None, *, last_factors: Mapping[str, Ended]) -> None:
        del settings  # there are none
        self._last = last_factors
        self._start: dict[str, Tensor] = {}
        self._parent: dict[str, Tensor] = {}

    @torch.no_grad()
    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Let the adapter begin with the last factors, where its rank takes them, and take their update out."""
        del pristine
        for name, layer in adapter.layers().items():
            if name in self._last and layer.factors is not None and _takes_over(layer.factors, self._last[name]):
                weight = weight_of(network, name)
                self._parent[name + fold.WEIGHT] = weight.detach().clone()
                self._start[name] = layer.update().value_OI.clone()
                weight.sub_(outputs_first(linear_of(network, name), self._start[name]).to(weight.dtype))

    def delta(self, adapter: Adapter) -> Delta:
        """Return what the adapter's update gained over the task."""
        gained = {
            name: update_OI - self._start[name] if name in self._start else update_OI
            for name, update_OI in adapter.deltas()
        }
        return Delta.from_dense(gained, sparse=False)

    def end(self, network: nn.Module) -> None:
        """Put the parent's weights back."""
        fold.apply(network, self._parent)


def _takes_over(factors: Factors, last: Ended) -> bool:
    """Make the factors' update that of ``last``, and say whether their rank allowed it."""
    rank = len(last.a_RI)
    if rank > len(factors.a_RI):
        return False
    factors.a_RI[:rank] = last.a_RI
    factors.b_OR.zero_()
    factors.b_OR[:, :rank] = last.b_OR * (last.scale / factors.scale)
    return True
