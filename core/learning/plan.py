"""Which rows each optimiser step sees."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

# Steps whose rows are sorted together: long enough for steps of like rows, short enough that an epoch stays a shuffle.
_GROUP_STEPS: Final = 50


class Plan:
    """Which rows each optimiser step sees: shuffled epochs, one after another, cut into steps of equal size.

    A function of the seed and the step alone, so a resumed run sees what it would have seen. Files with fewer rows
    than a step takes give steps of one whole epoch.

    Args:
        lengths: of the rows, in tokens, to bring rows of like lengths into the same step; every epoch still sees each
            row once. None leaves them as they were shuffled.
    """

    def __init__(self, n_rows: int, *, rows_per_step: int, seed: int, lengths: Sequence[int] | None = None) -> None:
        self._n_rows = n_rows
        self._rows_per_step = min(rows_per_step, n_rows)
        self._seed = seed
        self._lengths = None if lengths is None else torch.tensor(lengths)
        self._epoch = -1
        self._order: list[int] = []

    def rows_of(self, step: int) -> list[int]:
        """Return the row numbers of optimiser step ``step``, counted from 0."""
        first = step * self._rows_per_step
        return [self._row_at(position) for position in range(first, first + self._rows_per_step)]

    def _row_at(self, position: int) -> int:
        epoch, place = divmod(position, self._n_rows)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._order_of(epoch).tolist()
        return self._order[place]

    def _order_of(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        order = torch.randperm(self._n_rows, generator=generator)
        if self._lengths is None:
            return order
        # Steps that reach over an epoch's border take whatever rows stand there: they belong to two shuffles.
        head = -epoch * self._n_rows % self._rows_per_step
        whole = (self._n_rows - head) // self._rows_per_step * self._rows_per_step
        groups = order[head : head + whole].split(_GROUP_STEPS * self._rows_per_step)
        grouped = [self._alike(group, self._lengths, generator) for group in groups]
        return torch.cat([order[:head], *grouped, order[head + whole :]])

    def _alike(self, group: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Return the group's rows in steps of like lengths; the steps come in random order."""
        steps = group[lengths[group].argsort(stable=True)].view(-1, self._rows_per_step)
        return steps[torch.randperm(len(steps), generator=generator)].flatten()
