"""What a part of a learning method says of itself, without torch: its ``config.py`` ends with such a `PartInfo`."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from core.learning.strict import Strict

Axis = Literal["adapter", "objective", "memory", "composition"]
AXES: tuple[Axis, ...] = get_args(Axis)

# What an adapter may offer, and other parts may need:
#   linear_delta   its update of a layer is a matrix that is added to the weight
#   mergeable      that matrix can be written into the weight at the end
#   sparse_delta   most of the matrix is zero
#   has_factors    it is made of two thin factors A and B
#   low_rank       at the end it is exactly their scaled product, so training can go on from the factors
#   single_active  one adapter of a model learns at a time
#   free_teacher   switched off, it gives the model as the earlier tasks left it
Capability = Literal[
    "linear_delta", "mergeable", "sparse_delta", "has_factors", "low_rank", "single_active", "free_teacher"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """One choice on one axis.

    Attributes:
        settings: class of its settings.
        rule: import string ``module:Class`` of its behaviour, which loads torch.
        source: the paper or page that the part follows.
        provides: capabilities of an adapter; ``requires`` those that another part must find in it.
        memories: memories that the part cannot work without.
        excludes: parts that it cannot be combined with, ``excludes_because`` of this.
        stores_rows: whether it keeps rows of users' files; the model's policy must allow that.
        grows_with_tasks: whether what it keeps, or the time of a step, grows with the number of tasks.
        mixes_tasks: whether what a memory keeps of one task goes into what it keeps after the next ones, so that it stays
            there when the task is left out; rows are taken out again instead, by the rule's ``without``.
    """

    axis: Axis
    name: str
    summary: str
    settings: type[Strict]
    rule: str
    source: str
    provides: frozenset[Capability] = frozenset()
    requires: frozenset[Capability] = frozenset()
    memories: tuple[str, ...] = ()
    excludes: frozenset[str] = frozenset()
    excludes_because: str = ""
    stores_rows: bool = False
    grows_with_tasks: bool = False
    mixes_tasks: bool = False

    def rule_class(self) -> Any:
        """Return the class of the part's behaviour; loads torch."""
        module, _, name = self.rule.partition(":")
        return getattr(importlib.import_module(module), name)


def read(folder: str) -> PartInfo:
    """Return what the part in ``folder``, dotted, under ``core.learning`` says of itself."""
    return cast("PartInfo", importlib.import_module(f"core.learning.{folder}.config").PART)
