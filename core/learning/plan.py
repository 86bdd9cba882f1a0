"""Which rows each optimiser step sees, and how they are dealt out in micro-batches."""

import torch


class Plan:
    """Which rows each optimiser step sees: shuffled epochs, one after another, cut into steps of equal size.

    A function of the seed and the step alone, so a resumed run sees what it would have seen. Files with fewer rows
    than a step takes give steps of one whole epoch.
    """

    def __init__(self, n_rows: int, *, rows_per_step: int, seed: int) -> None:
        self._n_rows = n_rows
        self._rows_per_step = min(rows_per_step, n_rows)
        self._seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def rows_of(self, step: int) -> list[int]:
        """Return the row numbers of optimiser step ``step``, counted from 0."""
        first = step * self._rows_per_step
        return [self._row_at(position) for position in range(first, first + self._rows_per_step)]

    def _row_at(self, position: int) -> int:
        epoch, place = divmod(position, self._n_rows)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self._n_rows, generator=generator).tolist()
        return self._order[place]
