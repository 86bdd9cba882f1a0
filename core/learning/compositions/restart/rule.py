"""Starting again: each task begins at the base model, and its update takes the place of all earlier ones.

The task leaves the difference between its own update and the sum of the chain's, so that the new chain's sum is the
task's update alone.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.learning.adapters.port import Adapter
from core.learning.compositions.port import weight_of
from core.learning.compositions.restart.config import RestartSettings
from core.weights import fold
from core.weights.delta import Delta


class Restart:
    """The composition ``restart``."""

    def __init__(self, settings: RestartSettings, *, w_past: Mapping[str, Tensor]) -> None:
        del settings  # there are none
        self._past = w_past
        self._parent: dict[str, Tensor] = {}

    @torch.no_grad()
    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Put the base model's own weights into the network."""
        del adapter
        for name, base_OI in pristine.items():
            weight_OI = weight_of(network, name.removesuffix(fold.WEIGHT))
            self._parent[name] = weight_OI.detach().clone()
            weight_OI.copy_(base_OI)

    def delta(self, adapter: Adapter) -> Delta:
        """Return the adapter's update less all earlier ones."""
        updates = dict(adapter.deltas())
        for name, past_OI in self._past.items():
            updates[name] = updates[name] - past_OI.to(updates[name]) if name in updates else -past_OI
        return Delta.from_dense(updates, sparse=False)

    def end(self, network: nn.Module) -> None:
        """Put the parent's weights back."""
        fold.apply(network, self._parent)
