"""What a user asks of a task (`TaskSpec`) and what that comes to (`Recipe`). No torch; strict and bounded."""

import math
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Settings = dict[str, JsonValue]
Precision = Literal["fp32", "bf16"]

MAX_ADAPTER_SETTINGS: Final = 32
# A file of a few hundred rows is learned once about this many have been seen, in passes over the file; see
# docs/decisions/0004. Many more passes over a tiny one only bring it to be known by heart.
ROWS_SEEN: Final = 1280
MOST_EPOCHS: Final = 20


class Strict(BaseModel):
    """Base of everything that comes from outside: immutable, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class Evaluation(Strict):
    """How versions are scored."""

    max_rows: int = Field(200, ge=1, le=100_000, description="Held-out rows of each task that are scored.")
    batch_size: int = Field(32, ge=1, le=1024, description="Prompts that are answered together.")


class Data(Strict):
    """How rows of `text` and `label` become prompts."""

    question: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="Asked before every text of a classification task.",
    )
    options: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None = Field(
        None,
        min_length=2,
        max_length=1000,
        description="The labels, in the order in which they are shown; without them the sorted labels of the file.",
    )


class TaskSpec(Strict):
    """What a user posts with a task; everything is optional.

    `adapter` and `objectives` change settings of the method's parts; each part's own schema stands in
    `GET /v1/methods` and is checked by `core.learning.catalogue.resolve`.
    """

    method: str | None = Field(
        None,
        max_length=63,
        description="Name of a preset, see GET /v1/methods; without it the model's default.",
    )
    adapter: Settings = Field(
        default={},
        max_length=MAX_ADAPTER_SETTINGS,
        description="Settings of the method's adapter, e.g. rank, alpha, target_modules, threshold.",
    )
    objectives: dict[str, Settings] = Field(
        default={},
        max_length=16,
        description='Settings of objectives by name, e.g. {"ella": {"strength": 10000}}; a new name adds the objective.',
    )
    training: Training = Field(default=Training(), description="Steps, batches, optimiser.")
    data: Data = Field(default=Data(), description="Prompt of a classification task.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Scoring of held-out rows.")
    timeout_seconds: int | None = Field(
        None,
        ge=1,
        le=30 * 86_400,
        description="The job fails when it has run this long.",
    )


class Part(Strict):
    """One choice on one axis: the part's name in the catalogue and all of its settings."""

    name: str
    settings: Settings


class Recipe(Strict):
    """The effective method of one job, complete: stored with the version and hashed into its artefact."""

    name: str = Field(description="The preset it began with.")
    adapter: Part
    objectives: tuple[Part, ...]
    memories: tuple[Part, ...]
    composition: Part
    training: Training
    evaluation: Evaluation
    timeout_seconds: int | None = None
