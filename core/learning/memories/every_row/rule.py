"""Every row of every task, in the order in which they were learned. Grows with each task by its rows."""

from collections import Counter
from collections.abc import Sequence
from typing import overload

from torch import Tensor

from core.learning.memories.every_row.config import EveryRowSettings
from core.learning.memories.port import Learned, Past, SilentMemory
from core.learning.memories.row_store import State, packed, unpacked
from core.learning.rows import TokenRow


class EveryRow(SilentMemory, Sequence[TokenRow]):
    """The rows. Empty before the first task that was learned with this memory."""

    def __init__(self, settings: EveryRowSettings | None = None) -> None:
        del settings  # there are none
        self._rows: list[TokenRow] = []

    def recall(self, past: Past) -> None:
        """Take over what the version keeps."""
        if state := past.states.get("every_row"):
            self._rows = unpacked(state)

    def observe(self, learned: Learned) -> None:
        """Add the task's rows."""
        self._rows = [*self._rows, *learned.rows]

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `recall` takes over."""
        return packed(self._rows)

    @staticmethod
    def without(state: State, *, found: State, left: State) -> dict[str, Tensor]:
        """Return ``state`` without the rows of a task that found ``found`` in the chain and left ``left``.

        A row that several tasks have stays as often as the others have it.
        """
        gone = Counter(map(_content, unpacked(left))) - Counter(map(_content, unpacked(found) if found else ()))
        kept = []
        for row in unpacked(state):
            if gone[_content(row)] > 0:
                gone[_content(row)] -= 1
            else:
                kept.append(row)
        return packed(kept)

    @overload
    def __getitem__(self, place: int) -> TokenRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[TokenRow]: ...
    def __getitem__(self, place: int | slice) -> TokenRow | Sequence[TokenRow]:
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)


def _content(row: TokenRow) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(row.input_ids), tuple(row.labels)
