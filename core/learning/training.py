"""How the steps of a task are taken: the settings that are the same for every method. No torch."""

import math
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from core.learning.strict import Strict

Precision = Literal["fp32", "bf16", "fp16"]
LrSchedule = Literal["constant", "linear", "cosine", "warmup_stable_decay"]

# A file of a few hundred rows is learned once about this many have been seen, in passes over the file; see
# docs/decisions/0004. Many more passes over a tiny one only bring it to be known by heart.
ROWS_SEEN: Final = 1280
MOST_EPOCHS: Final = 20


class EarlyStopping(Strict):
    """When a run ends before its last step, by the loss on the task's held-out rows."""

    patience: int = Field(3, ge=1, le=1000, description="Measurements without a new best after which the run ends.")
    every_steps: int = Field(50, ge=1, le=1_000_000, description="Optimiser steps from one measurement to the next.")
    max_rows: int = Field(200, ge=1, le=100_000, description="Held-out rows that are measured.")


class Training(Strict):
    """How the steps are taken. The defaults of the whole product stand here and nowhere else."""

    epochs: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Passes over the training rows; without it as many as a small file needs, and one over a large one.",
    )
    max_steps: int | None = Field(None, ge=1, le=1_000_000, description="Optimiser steps; overrides the epochs.")
    batch_size: int = Field(16, ge=1, le=1024, description="Rows of one micro-batch (per process).")
    gradient_accumulation: int = Field(1, ge=1, le=1024, description="Micro-batches of one optimiser step.")
    gradient_checkpointing: bool = Field(
        default=False,
        description="Form activations again in the backward pass: less memory, more time, the same gradients.",
    )
    group_by_length: bool = Field(
        default=False,
        description="Bring rows of like lengths into the same optimiser step: less padding.",
    )
    learning_rate: float = Field(2e-3, gt=0, le=1, description="AdamW's learning rate, at its highest.")
    lr_schedule: LrSchedule = Field("constant", description="How the learning rate runs after the warm-up.")
    warmup_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of the steps over which the rate rises to its height."
    )
    decay_ratio: float = Field(
        0.2, gt=0, le=1, description="Share of the steps, the last ones, over which `warmup_stable_decay` falls."
    )
    max_grad_norm: float = Field(1.0, gt=0, le=1e6, description="The whole gradient is clipped to this norm.")
    precision: Precision = Field(
        "fp32", description="Type of the matrix products; master weights stay fp32. fp16 needs a CUDA device."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="End the run once the loss on held-out rows stops falling, and keep its best state."
    )
    max_source_tokens: int = Field(512, ge=1, le=131_072, description="Tokens of a prompt; a longer text is cut.")
    max_target_tokens: int = Field(64, ge=1, le=32_768, description="Tokens of a target, its end token included.")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Seed of every source of randomness.")

    @model_validator(mode="after")
    def _phases_of_the_rate_fit_into_the_run(self) -> Self:
        if self.lr_schedule == "warmup_stable_decay" and self.warmup_ratio + self.decay_ratio > 1:
            raise ValueError("warmup_ratio and decay_ratio together must not be over 1")
        return self

    def rows_per_step(self, processes: int = 1) -> int:
        """Return how many rows one optimiser step takes, over all processes."""
        return self.batch_size * self.gradient_accumulation * processes

    def steps(self, n_rows: int, *, processes: int = 1) -> int:
        """Return the number of optimiser steps on a file of ``n_rows`` rows."""
        if self.max_steps is not None:
            return self.max_steps
        epochs = self.epochs or min(max(math.ceil(ROWS_SEEN / n_rows), 1), MOST_EPOCHS)
        return max(1, math.ceil(epochs * n_rows / min(self.rows_per_step(processes), n_rows)))

    def rate_factor(self, step: int, *, total_steps: int) -> float:
        """Return the share of the learning rate that optimiser step ``step``, counted from 0, is taken with.

        It is over 0 at every step, and a function of its arguments alone: a resumed run needs no state for it.
        """
        warmup_steps = int(self.warmup_ratio * total_steps)
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        left, after_warmup = total_steps - step, total_steps - warmup_steps
        match self.lr_schedule:
            case "linear":
                return left / after_warmup
            case "cosine":
                return (1 + math.cos(math.pi * (1 - left / after_warmup))) / 2
            case "warmup_stable_decay":
                return min(left / max(int(self.decay_ratio * total_steps), 1), 1.0)
        return 1.0
