"""A uniform sample, of fixed size, of the rows of all tasks.

Every row that is ever learned draws a number; the rows with the smallest numbers stay. So each has the same chance
however many came before or after. The numbers come from the task's seed and the count of the rows that drew before it:
no two tasks draw the same ones, and a run that is repeated draws them again.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, overload

import torch
from torch import Tensor

from core.learning.memories.port import Learned, Past, SilentMemory
from core.learning.memories.reservoir.config import ReservoirSettings
from core.learning.memories.row_store import State, packed, unpacked
from core.learning.rows import TokenRow

_NUMBERS: Final = "numbers"
_SEEN: Final = "seen"
_NO_NUMBERS: Final = torch.empty(0, dtype=torch.float64)


class Reservoir(SilentMemory, Sequence[TokenRow]):
    """The kept rows, in an order that is random and another after each task. Empty before the first task with it.

    Attributes:
        seen: rows that ever drew a number.
    """

    def __init__(self, settings: ReservoirSettings | None = None) -> None:
        self._settings = settings or ReservoirSettings.model_validate({})
        self._rows: list[TokenRow] = []
        self._numbers: list[float] = []
        self.seen = 0

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        if state := past.states.get("reservoir"):
            self._rows, self._numbers = unpacked(state), state[_NUMBERS].tolist()
            self.seen = int(state[_SEEN])

    def observe(self, learned: Learned) -> None:
        """Let the task's rows draw."""
        # Seeded by text, which Python hashes whole: of a number torch's generator takes the lower 32 bits alone.
        generator = Random(f"{learned.seed} {self.seen}")  # noqa: S311 - a sample, not a secret
        numbers, rows = [*self._numbers, *(generator.random() for _ in learned.rows)], [*self._rows, *learned.rows]
        kept = sorted(range(len(rows)), key=numbers.__getitem__)[: self._settings.capacity]
        # Whoever takes the first few of them shall not take the same ones after every task.
        generator.shuffle(kept)
        self._numbers, self._rows = [numbers[place] for place in kept], [rows[place] for place in kept]
        self.seen += len(learned.rows)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        return {
            _NUMBERS: torch.tensor(self._numbers, dtype=torch.float64),
            _SEEN: torch.tensor(self.seen, dtype=torch.int64),
            **packed(self._rows),
        }

    @staticmethod
    def without(state: State, *, found: State, left: State) -> dict[str, Tensor]:
        """Return ``state`` without the rows of a task that found ``found`` in the chain and left ``left``.

        A row is known by its number. The place of those that go is taken by the next rows that draw, whose chance is the
        larger for it: rows that were passed over before are not there to come back.
        """
        gone = set(left[_NUMBERS].tolist()) - set(found.get(_NUMBERS, _NO_NUMBERS).tolist())
        numbers = state[_NUMBERS].tolist()
        kept = [place for place, number in enumerate(numbers) if number not in gone]
        rows = unpacked(state)
        return {
            _NUMBERS: torch.tensor([numbers[place] for place in kept], dtype=torch.float64),
            _SEEN: state[_SEEN],
            **packed([rows[place] for place in kept]),
        }

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
