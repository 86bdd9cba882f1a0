"""What an adapter kind offers to the learner, the objectives and the merge, which never know the kind.

Shapes: O outputs, I inputs of one adapted layer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from core.learning.adapters.factors import ALL_ROWS, Factors
from core.learning.adapters.state import AdapterState


class Update(Protocol):
    """The update of one layer at one moment."""

    value_OI: Tensor

    def add_gradient(self, gradient_OI: Tensor, *, weight: float = 1.0) -> None:
        """Add to the parameters' ``.grad`` what ``weight gradient_OI``, a gradient with respect to ``value_OI``, means.

        The weight is applied to the small gradients of the factors where there are any, not to every entry.
        """


class AdaptedLayer(Protocol):
    """One adapted layer.

    Attributes:
        factors: A, B and their scale; None for an adapter that has none.
        low_rank: whether the update is exactly their product now.
    """

    @property
    def factors(self) -> Factors | None: ...  # noqa: D102 - said above

    @property
    def low_rank(self) -> bool: ...  # noqa: D102 - said above

    def row_blocks(self) -> Iterator[slice]:
        """Yield the update's rows in blocks that stay in a core's cache; all at once on an accelerator."""

    def update(self, *, sparse: bool = False, rows: slice = ALL_ROWS) -> Update:
        """Return the scaled update as the forward pass uses it now, detached, or some of its rows.

        Args:
            sparse: asks for the entries that are kept.
            rows: outputs, to go over a large layer in blocks; the gradient added is with respect to these.
        """


class Adapter(Protocol):
    """One task's adapter: fresh when attached, read out when finished."""

    sparse: bool

    def attach(self, base: nn.Module) -> Any:
        """Put a fresh adapter on ``base`` (drawn from torch's global generator) and return the trainable model."""

    def layers(self) -> Mapping[str, AdaptedLayer]:
        """Return the adapted layers by module name of the base model."""

    def after_step(self, step: int, *, total_steps: int) -> None:
        """Follow the schedule after optimiser step ``step``, counted from 1."""

    def settled(self) -> bool:
        """Return whether the update as the forward pass uses it now is the one that merging would write."""

    def settle(self) -> None:
        """Make it so at once: the task ends here, before its schedule does."""

    def figures(self) -> dict[str, float]:
        """Return what is worth a curve, e.g. sparsity."""

    def state(self) -> dict[str, float]:
        """Return what a checkpoint must hold beside the trainable parameters."""

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over what `state` returned."""

    def deltas(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each layer's final update, ``[O, I]``, in the type of the master weights."""

    def detach(self) -> AdapterState | None:
        """Take the adapter off, so that the base is as it was, and return what it had learned, if PEFT can save it."""
