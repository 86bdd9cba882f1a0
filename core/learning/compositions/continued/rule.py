"""Continued training (SeqLoRA): one adapter for all tasks, trained on from where the last one left it.

The parent's weights hold the adapter's update as it was, ``s B0 A0``. It is taken out while the adapter, which begins
with A0 and B0, stands in its place; the task leaves the difference ``s B A - s B0 A0``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.learning.adapters.port import Adapter
from core.learning.compositions.continued.config import ContinueSettings
from core.learning.compositions.port import weight_of
from core.weights import fold
from core.weights.delta import Delta


class Continue:
    """The composition ``continue``."""

    def __init__(self, settings: ContinueSettings, *, last_factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        del settings  # there are none
        self._last = last_factors
        self._start: dict[str, Tensor] = {}
        self._parent: dict[str, Tensor] = {}

    @torch.no_grad()
    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Let the adapter begin with the last factors, where their shapes are its own, and take their update out."""
        del pristine
        for name, layer in adapter.layers().items():
            if name not in self._last or layer.factors is None:
                continue
            a_RI, b_OR = self._last[name]
            if a_RI.shape != layer.factors.a_RI.shape or b_OR.shape != layer.factors.b_OR.shape:
                continue
            layer.factors.a_RI.copy_(a_RI)
            layer.factors.b_OR.copy_(b_OR)
            weight_OI = weight_of(network, name)
            self._parent[f"{name}.weight"] = weight_OI.detach().clone()
            self._start[name] = layer.update().value_OI.clone()
            weight_OI.sub_(self._start[name].to(weight_OI.dtype))

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
