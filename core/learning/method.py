"""From a recipe to the rules that carry it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from core.learning import catalogue
from core.learning.adapters.port import Adapter
from core.learning.memories.port import Memory, Past
from core.learning.objectives.port import Objective
from core.learning.recipe import Recipe
from core.weights.delta import Delta


class Composition(Protocol):
    """How a learned task meets the weights."""

    def delta(self, adapter: Adapter) -> Delta:
        """Return what the task leaves."""

    def merge(self, base: nn.Module, delta: Delta) -> None:
        """Add it to the weights of ``base``."""


@dataclass(frozen=True, slots=True)
class Method:
    """The rules of one recipe, with memories that are still empty."""

    adapter: Adapter
    memories: Mapping[str, Memory]
    objectives: tuple[Objective, ...]
    composition: Composition

    def recall(self, past: Past) -> None:
        """Fill the memories with what earlier tasks left."""
        for memory in self.memories.values():
            memory.recall(past)

    def observe(self, network: nn.Module, run: Callable[[int], None]) -> dict[str, dict[str, Tensor]]:
        """Let the memories take in the task that was just merged; return their states by name, empty ones left out."""
        modules = list(self.adapter.layers())
        states = {}
        for name, memory in self.memories.items():
            memory.observe(network, modules, run)
            states[name] = memory.state()
        return {name: state for name, state in states.items() if state}


def assemble(recipe: Recipe) -> Method:
    """Return the rules of ``recipe``."""
    adapter = catalogue.PARTS["adapter"][recipe.adapter.name].rule_class()
    composition = catalogue.PARTS["composition"][recipe.composition.name].rule_class()
    memories = {
        part.name: catalogue.PARTS["memory"][part.name].rule_class()(catalogue.parsed("memory", part))
        for part in recipe.memories
    }
    objectives: list[Any] = []
    for part in recipe.objectives:
        info = catalogue.PARTS["objective"][part.name]
        needed = {name: memories[name] for name in info.memories}
        objectives.append(info.rule_class()(catalogue.parsed("objective", part), **needed))
    return Method(
        adapter=adapter(catalogue.parsed("adapter", recipe.adapter)),
        memories=memories,
        objectives=tuple(objectives),
        composition=composition(),
    )
