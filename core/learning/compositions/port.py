"""How a learned task meets the weights."""

from collections.abc import Mapping
from typing import Protocol, cast

from torch import Tensor, nn

from core.learning.adapters.port import Adapter
from core.weights.delta import Delta


class Composition(Protocol):
    """Where a task starts from, and what it leaves."""

    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Prepare the network, which holds the parent's weights and a fresh adapter.

        Args:
            network: the base network; its weights may be changed until `end`.
            adapter: attached to it.
            pristine: the base model's own weights of all modules that the parent's chain changed, by tensor name.
        """

    def delta(self, adapter: Adapter) -> Delta:
        """Return what the task leaves: what is to be added to the parent's weights."""

    def end(self, network: nn.Module) -> None:
        """Put the parent's weights back, once the adapter is off."""


class InPlace:
    """A composition that trains on the parent's weights as they are."""

    def begin(self, network: nn.Module, adapter: Adapter, pristine: Mapping[str, Tensor]) -> None:
        """Change nothing."""

    def end(self, network: nn.Module) -> None:
        """There is nothing to put back."""


def linear_of(network: nn.Module, module: str) -> nn.Linear:
    """Return a module itself, also where an adapter wraps it."""
    named = network.get_submodule(module)
    return cast("nn.Linear", getattr(named, "base_layer", named))


def weight_of(network: nn.Module, module: str) -> nn.Parameter:
    """Return a module's own weight in its own layout, also where an adapter wraps the module."""
    return cast("nn.Parameter", linear_of(network, module).weight)
