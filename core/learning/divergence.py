"""When a run is given up: a loss that is no longer a number, or that went up and stays there."""

import math
from dataclasses import dataclass
from typing import Any, Final

# A loss counts as exploded over this many times its lowest so far and this many times that of guessing blindly,
# log(vocabulary); the run is given up after so many steps of it in a row. A spike recovers sooner.
_TIMES_BEST: Final = 3.0
_TIMES_BLIND: Final = 2.0
_PATIENCE_STEPS: Final = 20
# A scale of 2^16 is halved at every overflow: after this many in a row it is so small that it is not what overflows.
_MOST_OVERFLOWS: Final = 40


class DivergedError(ArithmeticError):
    """The loss or the gradient is no longer a number, or the loss exploded."""


@dataclass(slots=True)
class LossWatch:
    """The losses of a run so far.

    Attributes:
        vocabulary: number of tokens that the model chooses from.
        best: the lowest loss a step has shown.
        exploded_steps: the last steps in a row whose loss was far over it.
        overflows: the last steps in a row that the fp16 scaler skipped.
    """

    vocabulary: int
    best: float = math.inf
    exploded_steps: int = 0
    overflows: int = 0

    def see(self, ce_loss: float, *, skipped: bool = False) -> None:
        """Take in the loss per target token of one step, and whether its optimiser step was skipped.

        Raises:
            DivergedError: the loss has been exploded, or the gradient too large for fp16, for too many steps.
        """
        self.best = min(self.best, ce_loss)
        limit = max(_TIMES_BEST * self.best, _TIMES_BLIND * math.log(self.vocabulary))
        self.exploded_steps = self.exploded_steps + 1 if ce_loss > limit else 0
        self.overflows = self.overflows + 1 if skipped else 0
        if self.exploded_steps >= _PATIENCE_STEPS:
            raise DivergedError(f"the loss exploded: it has been over {limit:.1f} for {_PATIENCE_STEPS} steps")
        if self.overflows >= _MOST_OVERFLOWS:
            raise DivergedError(f"the gradient was too large for fp16 in {_MOST_OVERFLOWS} steps one after another")

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"best": self.best, "exploded_steps": self.exploded_steps, "overflows": self.overflows}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.best = float(state["best"])
        self.exploded_steps, self.overflows = int(state["exploded_steps"]), int(state["overflows"])
