"""Sequential merging: once a task is learned, its update is added to the weights and the factors are thrown away."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class MergeSequential:
    """The composition ``merge_sequential``."""

    @torch.no_grad()
    def merge(self, base: nn.Module, deltas: Iterable[tuple[str, Tensor]]) -> None:
        """Add each update to its module's weight, in place and in the weight's own type."""
        for name, delta_OI in deltas:
            weight_OI = base.get_submodule(name).weight
            weight_OI.add_(delta_OI.to(weight_OI.dtype))
