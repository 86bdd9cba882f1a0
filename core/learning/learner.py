"""One optimiser step: the heart of training, the same for every method.

loss of the targets backward  ->  closed-form gradients of the objectives  ->  clip the whole gradient
->  optimiser  ->  the adapter's schedule
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate import Accelerator
from torch import Tensor

from core.domain.base_facts import Family
from core.learning.adapters.port import Adapter
from core.learning.loss import Batch, Forward, cross_entropy, target_count, target_logits
from core.learning.objectives.port import Answers, Objective
from core.learning.training import Training

_CE: Final = "ce"


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
        has_past: whether there were tasks before this one, whose answers objectives may ask for.
        step: optimiser steps done.
        total_steps: of this task; the adapter's schedule runs over them.
    """

    model: Any
    adapter: Adapter
    objectives: Sequence[Objective]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    family: Family
    max_grad_norm: float
    total_steps: int
    forward: Forward | None = None
    has_past: bool = False
    step: int = 0

    def learn(self, batches: Sequence[Batch]) -> StepFigures:
        """Take one optimiser step on micro-batches; the loss is a mean over all their target tokens, on all ranks.

        Raises:
            DivergedError: the loss or the gradient's norm is not finite; nothing was stepped.
        """
        self.optimizer.zero_grad()
        ce_loss, values = self._backward(batches)
        for objective in self.objectives:
            values[objective.name] = values.get(objective.name, 0.0) + objective.add_gradient(self.adapter.layers())
        values = {objective.name: values[objective.name] for objective in self.objectives if objective.has_value}
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        grad_norm = float(self.accelerator.clip_grad_norm_(parameters, self.max_grad_norm))
        if not (math.isfinite(ce_loss) and math.isfinite(grad_norm)):
            raise DivergedError(f"the loss or its gradient is not a number at step {self.step + 1}")
        self.optimizer.step()
        self.step += 1
        self.adapter.after_step(self.step, total_steps=self.total_steps)
        return StepFigures(ce_loss, values, grad_norm)

    def _backward(self, batches: Sequence[Batch]) -> tuple[float, dict[str, float]]:
        """Accumulate the gradient over the micro-batches; return the losses by target token, the objectives' by name."""
        tokens = self._over_ranks(sum(target_count(batch, self.family) for batch in batches))
        totals: dict[str, float] = {}
        for number, batch in enumerate(batches, start=1):
            with self._synchronised(last=number == len(batches)):
                terms = self._losses(batch.to(self.accelerator.device))
                loss = torch.stack([term.to(terms[_CE].dtype) for term in terms.values()]).sum() / tokens
                # Distributed gradients are averaged over the ranks; this makes the average the sum again.
                ranks = self.accelerator.num_processes
                self.accelerator.backward(loss * ranks if ranks > 1 else loss)
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term.detach() / tokens)
        totals = {name: self._over_ranks(total) for name, total in totals.items()}
        return totals.pop(_CE), totals

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch's summed losses: the targets' cross-entropy, and what the objectives add to it."""
        # Distributed training allows one forward pass a backward pass; alone, a shared prefix may have its own.
        share = self.accelerator.num_processes == 1
        logits_KV, targets_K = target_logits(self.model, batch, self.family, forward=self.forward, share_prefix=share)
        answers = Answers(logits_KV, targets_K, (lambda: self._before(batch)) if self.has_past else None)
        terms = {objective.name: objective.batch_loss(answers) for objective in self.objectives}
        found = {name: term for name, term in terms.items() if term is not None}
        return {_CE: cross_entropy(logits_KV, targets_K, self.family), **found}

    @torch.no_grad()
    def _before(self, batch: Batch) -> Tensor:
        """Return the logits of the model as it was before the task: its adapter off, its dropout too."""
        self.model.eval()
        with self.model.disable_adapter(), self.accelerator.autocast():
            logits_KV, _ = target_logits(self.model, batch, self.family, share_prefix=True)
        self.model.train()
        return logits_KV

    def _over_ranks(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(tensor, reduction="sum"))

    def _synchronised(self, *, last: bool) -> Any:
        return torch.enable_grad() if last else self.accelerator.no_sync(self.forward)


def adamw(model: torch.nn.Module, training: Training) -> torch.optim.AdamW:
    """Return the optimiser of all methods: a constant rate, and no decay, which would pull thresholds to 1."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(parameters, lr=training.learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
