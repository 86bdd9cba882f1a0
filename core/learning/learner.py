"""One optimiser step: the heart of training, the same for every method.

loss of the targets backward  ->  un-scale, in fp16  ->  closed-form gradients of the objectives
->  clip the whole gradient  ->  optimiser, at the step's rate  ->  the adapter's schedule
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.domain.base_facts import Family
from core.learning.adapters.port import Adapter
from core.learning.divergence import DivergedError
from core.learning.loss import Batch, Forward, cross_entropy, target_count, target_logits, target_loss
from core.learning.objectives.port import Answers, Objective
from core.learning.objectives.update_penalty import add_gradients
from core.learning.training import Training

_CE: Final = "ce"


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What one step showed.

    Attributes:
        ce_loss: per target token.
        objectives: their values by name.
        grad_norm: of the gradient before it is clipped; not finite where the step was skipped.
        skipped: whether the gradient was too large for fp16: the weights stayed, the scale goes down.
    """

    ce_loss: float
    objectives: dict[str, float]
    grad_norm: float
    skipped: bool = False

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
        rate_factor: share of the learning rate by step, counted from 0; None is the whole rate at every step.
        share_prefix: whether what a batch's rows begin with may run once for all; not where activations are formed
            again in the backward pass, which goes without a cache.
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
    rate_factor: Callable[[int], float] | None = None
    share_prefix: bool = True
    step: int = 0

    def learn(self, batches: Sequence[Batch]) -> StepFigures:
        """Take one optimiser step on micro-batches; the loss is a mean over all their target tokens, on all ranks.

        Raises:
            DivergedError: the loss or the gradient's norm is not finite; nothing was stepped.
        """
        self.optimizer.zero_grad()
        ce_loss, values = self._backward(batches)
        # fp16 gradients come scaled up; what objectives add, and what clipping compares with, is not.
        self.accelerator.unscale_gradients()
        added = add_gradients(self.objectives, self.adapter.layers())
        values = {
            objective.name: values.get(objective.name, 0.0) + added[objective.name]
            for objective in self.objectives
            if objective.has_value
        }
        # The accelerator's own clipping would un-scale a second time.
        parameters = [parameter for _, parameter in self.trainable()]
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm))
        skipped = self._step_optimizer(ce_loss, grad_norm)
        self.step += 1
        self.adapter.after_step(self.step, total_steps=self.total_steps)
        return StepFigures(ce_loss, values, grad_norm, skipped)

    def trainable(self) -> list[tuple[str, nn.Parameter]]:
        """Return the trainable parameters by name, shared ones once."""
        return [(name, parameter) for name, parameter in self.model.named_parameters() if parameter.requires_grad]

    @torch.no_grad()
    def load(self, parameters: Mapping[str, Tensor]) -> None:
        """Put values into the trainable parameters, by name."""
        for name, parameter in self.trainable():
            parameter.copy_(parameters[name])

    @torch.no_grad()
    def held_out_loss(self, batches: Sequence[Batch]) -> float:
        """Return the loss per target token on the batches of all ranks, with dropout off; nothing is learned."""
        self.model.eval()
        total = tokens = 0.0
        for batch in batches:
            with self.accelerator.autocast():
                here = batch.to(self.accelerator.device)
                total += float(target_loss(self.model, here, self.family, share_prefix=True))
            tokens += target_count(batch, self.family)
        self.model.train()
        return self.over_ranks(total) / self.over_ranks(tokens)

    def over_ranks(self, value: float) -> float:
        """Return the sum of a value over all processes; each must ask."""
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(tensor, reduction="sum"))

    def _step_optimizer(self, ce_loss: float, grad_norm: float) -> bool:
        """Step at this step's learning rate; return whether the fp16 scaler skipped it."""
        scaled = self.accelerator.scaler is not None
        if not (math.isfinite(ce_loss) and (scaled or math.isfinite(grad_norm))):
            raise DivergedError(f"the loss or its gradient is not a number at step {self.step + 1}")
        if self.rate_factor is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.rate_factor(self.step)
        self.optimizer.step()
        skipped = scaled and self.accelerator.optimizer_step_was_skipped
        if not (math.isfinite(grad_norm) or skipped):
            raise DivergedError(f"the objectives' gradient is not a number at step {self.step + 1}")
        return skipped

    def _backward(self, batches: Sequence[Batch]) -> tuple[float, dict[str, float]]:
        """Accumulate the gradient over the micro-batches; return the losses by target token, the objectives' by name."""
        tokens = self.over_ranks(sum(target_count(batch, self.family) for batch in batches))
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
        totals = {name: self.over_ranks(total) for name, total in totals.items()}
        return totals.pop(_CE), totals

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch's summed losses: the targets' cross-entropy, and what the objectives add to it."""
        # Distributed training allows one forward pass a backward pass; alone, a shared prefix may have its own.
        share = self.share_prefix and self.accelerator.num_processes == 1
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

    def _synchronised(self, *, last: bool) -> Any:
        return torch.enable_grad() if last else self.accelerator.no_sync(self.forward)


def adamw(model: torch.nn.Module, training: Training) -> torch.optim.AdamW:
    """Return the optimiser of all methods, at its highest rate; no decay, which would pull thresholds to 1."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(parameters, lr=training.learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
