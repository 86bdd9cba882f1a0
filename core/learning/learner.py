"""One optimiser step: the heart of training, the same for every method.

loss of the targets backward  ->  closed-form gradients of the objectives  ->  clip the whole gradient
->  optimiser  ->  the adapter's schedule
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel

from core.domain.base_facts import Family
from core.learning.adapters.port import Adapter
from core.learning.loss import Batch, Forward, target_count, target_loss
from core.learning.objectives.port import Objective
from core.learning.recipe import Training


class DivergedError(ArithmeticError):
    """The loss or the gradient is no longer a number."""


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What one step showed: ``ce_loss`` per target token, the objectives' values, the gradient's norm unclipped."""

    ce_loss: float
    objectives: dict[str, float]
    grad_norm: float

    @property
    def loss(self) -> float:
        """The whole loss."""
        return self.ce_loss + sum(self.objectives.values())


@dataclass(slots=True, kw_only=True)
class Learner:
    """A model, its adapter and its optimiser.

    Attributes:
        forward: the model as the accelerator prepared it: under autocast, or spread over ranks.
        step: optimiser steps done.
        total_steps: of this task; the adapter's schedule runs over them.
    """

    model: PeftModel
    adapter: Adapter
    objectives: Sequence[Objective]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    family: Family
    max_grad_norm: float
    total_steps: int
    forward: Forward | None = None
    step: int = 0

    def learn(self, batches: Sequence[Batch]) -> StepFigures:
        """Take one optimiser step on micro-batches; the loss is a mean over all their target tokens, on all ranks.

        Raises:
            DivergedError: the loss or the gradient's norm is not finite; nothing was stepped.
        """
        self.optimizer.zero_grad()
        ce_loss = self._backward(batches)
        values = {objective.name: objective.add_gradient(self.adapter.layers()) for objective in self.objectives}
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        grad_norm = float(self.accelerator.clip_grad_norm_(parameters, self.max_grad_norm))
        if not (math.isfinite(ce_loss) and math.isfinite(grad_norm)):
            raise DivergedError(f"the loss or its gradient is not a number at step {self.step + 1}")
        self.optimizer.step()
        self.step += 1
        self.adapter.after_step(self.step, total_steps=self.total_steps)
        return StepFigures(ce_loss, values, grad_norm)

    def _backward(self, batches: Sequence[Batch]) -> float:
        """Accumulate the gradient over the micro-batches and return the mean loss of a target token."""
        ranks = self.accelerator.num_processes
        tokens = self._over_ranks(sum(target_count(batch, self.family) for batch in batches))
        total = 0.0
        for number, batch in enumerate(batches, start=1):
            with self._synchronised(last=number == len(batches)):
                batch = batch.to(self.accelerator.device)  # noqa: PLW2901 - the same batch, where it is used
                # Distributed training allows one forward pass a backward pass; alone, a shared prefix may have its own.
                loss = (
                    target_loss(self.model, batch, self.family, forward=self.forward, share_prefix=ranks == 1) / tokens
                )
                # Distributed gradients are averaged over the ranks; this makes the average the sum again.
                self.accelerator.backward(loss * ranks if ranks > 1 else loss)
            total += float(loss.detach())
        return self._over_ranks(total)

    def _over_ranks(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(tensor, reduction="sum"))

    def _synchronised(self, *, last: bool) -> Any:
        return torch.enable_grad() if last else self.accelerator.no_sync(self.forward)


def adamw(model: PeftModel, training: Training) -> torch.optim.AdamW:
    """Return the optimiser of all methods: a constant rate, and no decay, which would pull thresholds to 1."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(parameters, lr=training.learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
