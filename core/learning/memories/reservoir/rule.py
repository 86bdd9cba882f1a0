"""A uniform sample, of fixed size, of the rows of all tasks.

Every row that is ever learned draws a number; the rows with the smallest numbers stay. So each has the same chance
however many came before or after, and the order of the numbers is a random order of the sample.
"""

from collections.abc import Iterator, Sequence
from typing import Final, overload

import torch
from torch import Tensor

from core.learning.memories.port import Learned, Past, SilentMemory
from core.learning.memories.reservoir.config import ReservoirSettings
from core.learning.memories.row_store import packed, unpacked
from core.learning.rows import TokenRow

_NUMBERS: Final = "numbers"


class Reservoir(SilentMemory, Sequence[TokenRow]):
    """The kept rows, in random order. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: ReservoirSettings | None = None) -> None:
        self._settings = settings or ReservoirSettings.model_validate({})
        self._rows: list[TokenRow] = []
        self._numbers: list[float] = []

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        if state := past.states.get("reservoir"):
            self._rows, self._numbers = unpacked(state), state[_NUMBERS].tolist()

    def observe(self, learned: Learned) -> None:
        """Let the task's rows draw."""
        # The rows before the task are part of the seed: tasks with the same seed must not draw the same numbers.
        generator = torch.Generator().manual_seed(learned.seed * 1_000_003 + hash(tuple(self._numbers[:1])) % 999_983)
        drawn = torch.rand(len(learned.rows), generator=generator, dtype=torch.float64).tolist()
        pairs = sorted(
            zip([*self._numbers, *drawn], [*self._rows, *learned.rows], strict=True), key=lambda pair: pair[0]
        )
        kept = pairs[: self._settings.capacity]
        self._numbers, self._rows = [number for number, _ in kept], [row for _, row in kept]

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        return {_NUMBERS: torch.tensor(self._numbers, dtype=torch.float64), **packed(self._rows)}

    @overload
    def __getitem__(self, place: int) -> TokenRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[TokenRow]: ...
    def __getitem__(self, place: int | slice) -> TokenRow | Sequence[TokenRow]:
        return self._rows[place]

    def __iter__(self) -> Iterator[TokenRow]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
