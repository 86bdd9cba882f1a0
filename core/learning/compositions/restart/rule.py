"""Starting again: each task begins at the base model, and its update takes the place of all earlier ones.

The task leaves the difference between its own update and what the chain had added to the base, so that the new
chain's sum is the task's update alone; also in the modules that earlier tasks adapted and this one does not.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.learning.adapters.port import Adapter
from core.learning.compositions.port import linear_of
from core.learning.compositions.restart.config import RestartSettings
from core.weights import fold
from core.weights.delta import Delta
from core.weights.linear import outputs_first


class Restart:
    """The composition ``restart``."""

    def __init__(self, settings: RestartSettings | None = None) -> None:
        del settings  # there are none
        self._parent: dict[str, Tensor] = {}
        self._base: Mapping[str, Tensor] = {}
        self._linears: dict[str, nn.Linear] = {}

    @torch.no_grad()
    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Put the base model's own weights into the network."""
        del adapter
        self._base = pristine
        for name, base in pristine.items():
            self._linears[name] = linear_of(network, name.removesuffix(fold.WEIGHT))
            self._parent[name] = self._linears[name].weight.detach().clone()
            self._linears[name].weight.copy_(base)

    @torch.no_grad()
    def delta(self, adapter: Adapter) -> Delta:
        """Return the adapter's update less what the chain had added; dense."""
        updates = dict(adapter.deltas())
        for name, parent in self._parent.items():
            added_OI = outputs_first(self._linears[name], parent - self._base[name])
            module = name.removesuffix(fold.WEIGHT)
            updates[module] = updates[module] - added_OI if module in updates else -added_OI
        return Delta.from_dense(updates, sparse=False)

    def end(self, network: nn.Module) -> None:
        """Put the parent's weights back."""
        fold.apply(network, self._parent)
