"""The factors A of all earlier tasks: the input directions that their updates read. Grows by one A with each task.

Shapes: P rows of all earlier A together, I inputs.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.past_factors.config import PastFactorsSettings
from core.learning.memories.port import Past, SilentMemory


class PastFactors(SilentMemory, Mapping[str, Tensor]):
    """The factors ``[P, I]`` by module name. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: PastFactorsSettings | None = None) -> None:
        del settings  # there are none
        self._factors: dict[str, Tensor] = {}

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        state = past.states.get("past_factors", {})
        self._factors = {name: factors_PI.to(past.device) for name, factors_PI in state.items()}

    def keep(self, layers: Mapping[str, AdaptedLayer]) -> None:
        """Add the task's own A below the others."""
        for name, layer in layers.items():
            if layer.factors is not None:
                mine_RI = layer.factors.a_RI.detach().clone()
                earlier_PI = self._factors.get(name)
                self._factors[name] = mine_RI if earlier_PI is None else torch.cat([earlier_PI, mine_RI])

    def state(self) -> dict[str, Tensor]:
        """Return the factors by module name."""
        return {name: factors_PI.cpu().contiguous() for name, factors_PI in self._factors.items()}

    def __getitem__(self, module: str) -> Tensor:
        return self._factors[module]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factors)

    def __len__(self) -> int:
        return len(self._factors)
