"""What a user asks of a task (`TaskSpec`) and what that comes to (`Recipe`). No torch; strict and bounded."""

from typing import Annotated, Final

from pydantic import Field

from core.domain.policies import GatePolicy
from core.learning.strict import Settings, Strict
from core.learning.training import Training

MAX_ADAPTER_SETTINGS: Final = 32


class Evaluation(Strict):
    """How versions are scored."""

    max_rows: int = Field(200, ge=1, le=100_000, description="Held-out rows of the task that are scored at most.")
    batch_size: int = Field(32, ge=1, le=1024, description="Prompts that are answered together.")
    metrics: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="By what the task is scored, of the metrics that its format has; without them the format's own. "
        "The first fills the score matrix.",
    )
    scratch_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="What the same method reached on this task alone, by its first metric, where you have measured it.",
    )


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
    `GET /v1/methods` and is checked by `core.learning.resolution.resolve`.
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
    memories: dict[str, Settings] = Field(
        default={},
        max_length=16,
        description='Settings of the memories that the method uses, e.g. {"reservoir": {"capacity": 1000}}.',
    )
    composition: str | None = Field(
        None,
        max_length=63,
        description="How the task's update meets the weights; without it the method's own.",
    )
    training: Training = Field(default=Training(), description="Steps, batches, optimiser.")
    data: Data = Field(default=Data(), description="Prompt of a classification task.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Scoring of held-out rows.")
    gate: GatePolicy = Field(
        default=GatePolicy(),
        description="What the task's version must show before it is served; without a setting the model's policy decides.",
    )
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
