"""What a memory offers to a method: the past before a task, and what to keep after it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

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


class Memory(Protocol):
    """What survives a task: read from the chain, or kept as state of the version."""

    def recall(self, past: Past) -> None:
        """Take over what earlier tasks left."""

    def observe(self, network: nn.Module, modules: Sequence[str], run: Callable[[int], None]) -> None:
        """Take in a task once it is merged into ``network``; ``run(n)`` passes up to n of its rows through, unpadded."""

    def state(self) -> dict[str, Tensor]:
        """Return what the version must keep for the next task; nothing where the chain says it all."""
