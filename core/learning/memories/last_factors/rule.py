"""The factors A and B that the last task ended with, so that the next one can go on from them."""

from collections.abc import Iterator, Mapping
from typing import Final

from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.last_factors.config import LastFactorsSettings
from core.learning.memories.port import Past, SilentMemory

_A: Final = ".A"
_B: Final = ".B"


class LastFactors(SilentMemory, Mapping[str, tuple[Tensor, Tensor]]):
    """A and B by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: LastFactorsSettings | None = None) -> None:
        del settings  # there are none
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        state = past.states.get("last_factors", {})
        names = [key.removesuffix(_A) for key in state if key.endswith(_A)]
        self._factors = {name: (state[name + _A].to(past.device), state[name + _B].to(past.device)) for name in names}

    def keep(self, layers: Mapping[str, AdaptedLayer]) -> None:
        """Put the task's factors in the place of the ones before."""
        self._factors = {
            name: (layer.factors.a_RI.detach().clone(), layer.factors.b_OR.detach().clone())
            for name, layer in layers.items()
            if layer.factors is not None
        }

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        tensors = {}
        for name, (a_RI, b_OR) in self._factors.items():
            tensors[name + _A], tensors[name + _B] = a_RI.cpu().contiguous(), b_OR.cpu().contiguous()
        return tensors

    def __getitem__(self, module: str) -> tuple[Tensor, Tensor]:
        return self._factors[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factors)

    def __len__(self) -> int:
        return len(self._factors)
