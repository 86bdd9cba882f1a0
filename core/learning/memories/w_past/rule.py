"""W_past: per layer the sum of all earlier tasks' updates, which is the merged weight less the base weight."""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from core.learning.memories.port import Past, SilentMemory
from core.learning.memories.w_past.config import WPastSettings
from core.weights.delta import Delta


class WPast(SilentMemory, Mapping[str, Tensor]):
    """Past updates by module name, ``[O, I]``, kept on the device where they are used.

    Empty before the first task. A module that an earlier task adapted has a past even if its update is all zeros.
    """

    def __init__(self, settings: WPastSettings | None = None) -> None:
        del settings  # there are none
        self._past: dict[str, Tensor] = {}

    def recall(self, past: Past) -> None:
        """Sum the chain's updates of the modules that the task adapts."""
        for delta in past.chain:
            self.add(delta, only=past.modules, device=past.device)

    @torch.no_grad()
    def add(self, delta: Delta, *, only: Collection[str] | None = None, device: torch.device | None = None) -> None:
        """Add one task's update, in the order of the chain; of the modules in ``only``, if it is given."""
        for name, module in delta.modules.items():
            if only is None or name in only:
                update_OI = module.to_dense().to(device or "cpu")
                past_OI = self._past.get(name)
                self._past[name] = update_OI.clone() if past_OI is None else past_OI + update_OI

    def __getitem__(self, module: str) -> Tensor:
        return self._past[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._past)

    def __len__(self) -> int:
        return len(self._past)
