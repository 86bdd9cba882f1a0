"""Full fine-tuning of linear layers: the weight itself learns, and what it gained is the update."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.learning.adapters.factors import ALL_ROWS, row_blocks
from core.learning.adapters.full.config import FullSettings
from core.learning.adapters.ungated import Ungated
from core.weights.linear import is_linear, outputs_first


@dataclass(slots=True)
class FullUpdate:
    """What one weight has gained."""

    linear: nn.Linear
    value_OI: Tensor
    rows: slice

    def add_gradient(self, gradient_OI: Tensor, *, weight: float = 1.0) -> None:
        """Add to the weight's own gradient: the update moves as the weight does."""
        own = self.linear.weight
        if own.grad is None:
            own.grad = torch.zeros_like(own)
        outputs_first(self.linear, own.grad)[self.rows].add_(gradient_OI, alpha=weight)


@dataclass(frozen=True, slots=True)
class FullView:
    """One layer, and its weight as the task found it, in the layer's own layout."""

    linear: nn.Linear
    start: Tensor
    factors: None = None
    low_rank: bool = False

    def row_blocks(self) -> Iterator[slice]:
        """Yield the rows of the weight in blocks."""
        return row_blocks(outputs_first(self.linear, self.start))

    def update(self, *, sparse: bool = False, rows: slice = ALL_ROWS) -> FullUpdate:
        """Return the update; all of its entries are kept, ``sparse`` or not."""
        del sparse
        now_OI, start_OI = (outputs_first(self.linear, each) for each in (self.linear.weight.detach(), self.start))
        return FullUpdate(self.linear, (now_OI[rows] - start_OI[rows]).contiguous(), rows)


@dataclass(slots=True)
class Full(Ungated):
    """The adapter kind ``full``."""

    settings: FullSettings
    sparse: bool = False
    _layers: dict[str, FullView] = field(default_factory=dict)

    def attach(self, base: nn.Module) -> nn.Module:
        """Let the weights of the target modules learn, and nothing else."""
        base.requires_grad_(requires_grad=False)
        targets = tuple(self.settings.target_modules or ())
        for name, module in base.named_modules():
            if is_linear(module) and any(name == each or name.endswith(f".{each}") for each in targets):
                module.weight.requires_grad_()
                self._layers[name] = FullView(module, module.weight.detach().clone())
        return base

    def layers(self) -> dict[str, FullView]:
        """Return the layers that learn, by name."""
        return self._layers

    def deltas(self) -> Iterator[tuple[str, Tensor]]:
        """Yield what each weight has gained."""
        for name, view in self._layers.items():
            yield name, view.update().value_OI

    @torch.no_grad()
    def detach(self) -> None:
        """Put the weights back to where the task found them."""
        for view in self._layers.values():
            view.linear.weight.copy_(view.start)
            view.linear.weight.requires_grad_(False)
            view.linear.weight.grad = None
