"""From a recipe to the rules that carry it out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.learning.adapters.port import Adapter
from core.learning.catalogue.parts import PARTS
from core.learning.compositions.port import Composition
from core.learning.memories.port import Learned, Memory, Past
from core.learning.objectives.port import Objective
from core.learning.part import Axis
from core.learning.recipe import Part, Recipe
from core.learning.resolution import parsed
from core.learning.rows import TokenRow


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

    def training_rows(self, own: Sequence[TokenRow]) -> Sequence[TokenRow]:
        """Return the rows to learn from: the task's own, and what the objectives put beside them."""
        for objective in self.objectives:
            own = objective.training_rows(own)
        return own

    def keep(self) -> None:
        """Let the memories take in the adapter as it ended."""
        for memory in self.memories.values():
            memory.keep(self.adapter.layers())

    def observe(self, learned: Learned) -> dict[str, dict[str, Tensor]]:
        """Let the memories take in the task that was just merged; return their states by name, empty ones left out."""
        for memory in self.memories.values():
            memory.observe(learned)
        states = {name: memory.state() for name, memory in self.memories.items()}
        return {name: state for name, state in states.items() if state}


def assemble(recipe: Recipe) -> Method:
    """Return the rules of ``recipe``."""
    memories = {part.name: _rule("memory", part)() for part in recipe.memories}

    def with_memories(axis: Axis, part: Part) -> Any:
        return _rule(axis, part)(**{name: memories[name] for name in PARTS[axis][part.name].memories})

    return Method(
        adapter=_rule("adapter", recipe.adapter)(),
        memories=memories,
        objectives=tuple(with_memories("objective", part) for part in recipe.objectives),
        composition=with_memories("composition", recipe.composition),
    )


def _rule(axis: Axis, part: Part) -> Callable[..., Any]:
    """Return the part's class with its settings already given."""
    rule, settings = PARTS[axis][part.name].rule_class(), parsed(axis, part)
    return lambda **memories: rule(settings, **memories)
