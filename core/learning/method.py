"""From a recipe to the rules that carry it out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from core.learning import catalogue
from core.learning.adapters.port import Adapter
from core.learning.objectives.port import Objective
from core.learning.recipe import Recipe
from core.weights.delta import Delta


class Memory(Protocol):
    """What survives a task, read from the version's chain."""

    def add(self, delta: Delta, *, only: Collection[str] | None = None, device: torch.device | None = None) -> None:
        """Take in one task's update, oldest first."""


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

    def remember(self, chain: Iterable[Delta], *, device: torch.device | None = None) -> None:
        """Fill the memories from the parent's chain, for the modules that the attached adapter changes."""
        adapted = set(self.adapter.layers())
        for delta in chain:
            for memory in self.memories.values():
                memory.add(delta, only=adapted, device=device)


def assemble(recipe: Recipe) -> Method:
    """Return the rules of ``recipe``."""
    adapter = catalogue.PARTS["adapter"][recipe.adapter.name].rule_class()
    composition = catalogue.PARTS["composition"][recipe.composition.name].rule_class()
    memories = {part.name: catalogue.PARTS["memory"][part.name].rule_class()() for part in recipe.memories}
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
