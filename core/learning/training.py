"""How the steps of a task are taken: the settings that are the same for every method. No torch."""

import math
from typing import Final, Literal

from pydantic import Field

from core.learning.strict import Strict

Precision = Literal["fp32", "bf16"]

# A file of a few hundred rows is learned once about this many have been seen, in passes over the file; see
# docs/decisions/0004. Many more passes over a tiny one only bring it to be known by heart.
ROWS_SEEN: Final = 1280
MOST_EPOCHS: Final = 20


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
    learning_rate: float = Field(2e-3, gt=0, le=1, description="AdamW's constant learning rate.")
    max_grad_norm: float = Field(1.0, gt=0, le=1e6, description="The whole gradient is clipped to this norm.")
    precision: Precision = Field("fp32", description="Type of the matrix products; master weights stay fp32.")
    max_source_tokens: int = Field(512, ge=1, le=131_072, description="Tokens of a prompt; a longer text is cut.")
    max_target_tokens: int = Field(64, ge=1, le=32_768, description="Tokens of a target, its end token included.")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Seed of every source of randomness.")

    def rows_per_step(self, processes: int = 1) -> int:
        """Return how many rows one optimiser step takes, over all processes."""
        return self.batch_size * self.gradient_accumulation * processes

    def steps(self, n_rows: int, *, processes: int = 1) -> int:
        """Return the number of optimiser steps on a file of ``n_rows`` rows."""
        if self.max_steps is not None:
            return self.max_steps
        epochs = self.epochs or min(max(math.ceil(ROWS_SEEN / n_rows), 1), MOST_EPOCHS)
        return max(1, math.ceil(epochs * n_rows / min(self.rows_per_step(processes), n_rows)))
