"""Early stopping with the best state: the loss on held-out rows is measured every few steps.

Only a settled adapter's state is what merging writes, so the best state is chosen among those alone; a gate that is
still closing when patience runs out is closed at once, measured again, and that is the state that stays (JumpLoRA,
section 3).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from core.learning.learner import Learner
from core.learning.loss import Batch
from core.learning.training import EarlyStopping


@dataclass(slots=True, kw_only=True)
class HeldOut:
    """The held-out rows of one run, and the best state that it has shown on them.

    Attributes:
        batches: this rank's share of the rows.
        best_loss: the lowest loss since the adapter settled, or before that since the first step.
        losses_since_best: measurements without a new best.
        best: the trainable parameters of the best settled state, by name; ``best_adapter`` is the adapter's own state.
        loss: what was measured after the last step; None if nothing was.
        stopped: whether patience has run out.
    """

    settings: EarlyStopping
    batches: Sequence[Batch]
    best_loss: float = math.inf
    losses_since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_adapter: Mapping[str, float] = field(default_factory=dict)
    loss: float | None = None
    stopped: bool = False

    def after_step(self, learner: Learner) -> None:
        """Measure, if it is time to, and keep the state if it is the best so far."""
        self.loss = None
        if learner.step % self.settings.every_steps and learner.step < learner.total_steps:
            return
        self._measure(learner)
        if self.losses_since_best < self.settings.patience:
            return
        self.stopped = True
        if not learner.adapter.settled():
            learner.adapter.settle()
            self._measure(learner)

    def restore_best(self, learner: Learner) -> None:
        """Put the best state in place of the last, and end the task there."""
        learner.load(self.best)
        learner.adapter.restore(self.best_adapter)
        # It was settled when it was measured, but by a sample of its entries where a threshold follows a density.
        learner.adapter.settle()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside `best`."""
        return {
            "best_loss": self.best_loss,
            "losses_since_best": self.losses_since_best,
            "best_adapter": dict(self.best_adapter),
            "stopped": self.stopped,
        }

    def restore(self, state: Mapping[str, Any], best: dict[str, Tensor]) -> None:
        """Take over what `state` returned, and the best parameters."""
        self.best_loss = float(state["best_loss"])
        self.losses_since_best = int(state["losses_since_best"])
        self.best_adapter, self.best = state["best_adapter"], best
        self.stopped = bool(state["stopped"])

    def _measure(self, learner: Learner) -> None:
        settled = learner.adapter.settled()
        self.loss = learner.held_out_loss(self.batches)
        # What an open gate reached says nothing of the closed one: the first settled state begins anew.
        if self.loss < self.best_loss or (settled and not self.best):
            self.best_loss, self.losses_since_best = self.loss, 0
            if settled:
                self.best = {name: parameter.detach().clone() for name, parameter in learner.trainable()}
                self.best_adapter = learner.adapter.state()
        else:
            self.losses_since_best += 1
