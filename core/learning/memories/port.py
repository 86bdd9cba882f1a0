"""What a memory offers to a method: the past before a task, and what to keep after it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from core.learning.adapters.port import AdaptedLayer
from core.learning.rows import TokenRow
from core.weights.delta import Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a task starts from.

    Attributes:
        chain: the deltas of the parent's chain, oldest first.
        states: what each memory left after the last task that was learned with it, by the memory's name.
        modules: that the task adapts.
        device: where memories are used.
    """

    chain: Sequence[Delta]
    states: Mapping[str, Mapping[str, Tensor]]
    modules: Collection[str]
    device: torch.device


class Learned(Protocol):
    """A task that was just merged, as memories may look at it."""

    @property
    def network(self) -> nn.Module:
        """The network with the task merged into it."""

    @property
    def modules(self) -> Sequence[str]:
        """The modules that the task adapted."""

    @property
    def rows(self) -> Sequence[TokenRow]:
        """The task's own training rows."""

    @property
    def seed(self) -> int:
        """The task's seed."""

    def show(self, max_rows: int) -> None:
        """Pass up to ``max_rows`` of the rows through the network, without any padding and without gradients."""

    def row_losses(self, max_rows: int) -> Iterator[Tensor]:
        """Yield the summed target loss of up to ``max_rows`` of the rows, one row at a time, with gradients."""


class Memory(Protocol):
    """What survives a task: read from the chain, or kept as state of the version."""

    def recall(self, past: Past) -> None:
        """Take over what earlier tasks left."""

    def keep(self, layers: Mapping[str, AdaptedLayer]) -> None:
        """Take in the adapter as it ended, before it is taken off."""

    def observe(self, learned: Learned) -> None:
        """Take in a task once it is merged."""

    def state(self) -> dict[str, Tensor]:
        """Return what the version must keep for the next task; nothing where the chain says it all."""


class SilentMemory:
    """A memory that looks at nothing and keeps nothing: what a real one does not need, it inherits."""

    def keep(self, layers: Mapping[str, AdaptedLayer]) -> None:
        """Look at nothing."""

    def observe(self, learned: Learned) -> None:
        """Look at nothing."""

    def state(self) -> dict[str, Tensor]:
        """Return nothing to keep."""
        return {}
