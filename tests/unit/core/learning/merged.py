"""A task that was just merged, as memories look at it, made by hand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from core.learning.rows import TokenRow


@dataclass
class Merged:
    network: nn.Module
    modules: Sequence[str] = ()
    run: Callable[[int], object] = lambda _: None
    rows: Sequence[TokenRow] = ()
    seed: int = 0
    losses: Sequence[Callable[[], torch.Tensor]] = ()

    def show(self, max_rows: int) -> None:
        with torch.no_grad():
            self.run(max_rows)

    def row_losses(self, max_rows: int) -> Iterator[torch.Tensor]:
        yield from (loss() for loss in self.losses[:max_rows])
