"""The factors A and B that the last task ended with, and their scale, so that the next one can go on from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.last_factors.config import LastFactorsSettings
from core.learning.memories.port import Past, SilentMemory

_A: Final = ".A"
_B: Final = ".B"
_SCALE: Final = ".scale"


@dataclass(frozen=True, slots=True)
class Ended:
    """What one layer's adapter ended with: the update ``scale B A``."""

    a_RI: Tensor
    b_OR: Tensor
    scale: float


class LastFactors(SilentMemory, Mapping[str, Ended]):
    """The factors by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: LastFactorsSettings | None = None) -> None:
        del settings  # there are none
        self._ended: dict[str, Ended] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        state = past.states.get("last_factors", {})
        names = [key.removesuffix(_A) for key in state if key.endswith(_A)]
        self._ended = {
            name: Ended(state[name + _A].to(past.device), state[name + _B].to(past.device), float(state[name + _SCALE]))
            for name in names
        }

    def keep(self, layers: Mapping[str, AdaptedLayer]) -> None:
        """Put the task's factors in the place of the ones before; of modules that it did not adapt, the old ones stay."""
        for name, layer in layers.items():
            if (factors := layer.factors) is not None:
                self._ended[name] = Ended(factors.a_RI.detach().clone(), factors.b_OR.detach().clone(), factors.scale)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        tensors = {}
        for name, ended in self._ended.items():
            tensors[name + _A], tensors[name + _B] = ended.a_RI.cpu().contiguous(), ended.b_OR.cpu().contiguous()
            tensors[name + _SCALE] = torch.tensor(ended.scale, dtype=torch.float64)
        return tensors

    def __getitem__(self, module: str) -> Ended:
        return self._ended[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ended)

    def __len__(self) -> int:
        return len(self._ended)
