"""W_past: per layer the sum of all earlier tasks' updates, which is the merged weight less the base weight."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor


class WPast(Mapping[str, Tensor]):
    """Past updates by module name, ``[O, I]``, kept on the device where they are used.

    Empty before the first task. A module that an earlier task adapted has a past even if its update is all zeros.
    """

    def __init__(self) -> None:
        self._past: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, deltas: Iterable[tuple[str, Tensor]], *, device: torch.device | None = None) -> None:
        """Add one task's updates, in the order of the chain."""
        for name, delta_OI in deltas:
            on_device = delta_OI.to(device) if device else delta_OI
            past = self._past.get(name)
            self._past[name] = on_device.clone() if past is None else past.add_(on_device)

    def __getitem__(self, module: str) -> Tensor:
        return self._past[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._past)

    def __len__(self) -> int:
        return len(self._past)
