"""What an objective adds to the loss on the task's own targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.rows import TokenRow


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model answered to a batch. K target tokens, V vocabulary.

    Attributes:
        logits_KV: with their graph.
        before: returns the logits ``[K, V]`` of the model as the earlier tasks left it; None before there is a past.
    """

    logits_KV: Tensor
    targets_K: Tensor
    before: Callable[[], Tensor] | None


class Objective:
    """One objective: it overrides what it needs of the three ways to add to the loss, and inherits the rest.

    Attributes:
        has_value: whether it is a term of the loss with a value of its own; that becomes the curve ``<name>_loss``.
    """

    name: ClassVar[str]
    has_value: ClassVar[bool] = True

    def training_rows(self, own: Sequence[TokenRow]) -> Sequence[TokenRow]:
        """Return the rows to learn from: the task's own, and others beside them."""
        return own

    def batch_loss(self, answers: Answers) -> Tensor | None:
        """Return a term of the loss, summed over the batch's target tokens; it is differentiated with their loss."""
        del answers
        return None

    def add_gradient(self, layers: Mapping[str, AdaptedLayer]) -> float:
        """Add the gradient of a term that is known in closed form, once a step, and return the term's value.

        No autograd graph is kept meanwhile.
        """
        del layers
        return 0.0
