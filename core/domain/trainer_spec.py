"""`spec.json`: what a worker asks of a trainer. Paths are relative to the job's folder unless said otherwise."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BaseRef(_Strict):
    """The base model: ``path`` is absolute, ``digest`` is checked once the tensors are loaded."""

    path: str
    digest: str


class ChainLink(_Strict):
    """One delta of the parent's chain."""

    version_id: str
    folder: str
    manifest_sha256: str


class ScoredTask(_Strict):
    """A task whose held-out rows are scored: JSONL of rendered rows, as `core.datasets.materialise` writes them.

    Attributes:
        max_rows: how many of the rows are scored at most, as are ``max_source_tokens`` and ``max_target_tokens`` by
            which they are cut: those of the task's own settings, so that it is always scored alike. Without them those
            of the recipe hold.
    """

    task_id: str
    name: str
    rows: str
    metrics: tuple[str, ...] = ("exact_match",)
    max_rows: int | None = None
    max_source_tokens: int | None = None
    max_target_tokens: int | None = None


class TrainerSpec(_Strict):
    """One `train` job.

    Attributes:
        recipe: the effective method and training settings (`core.learning.recipe.Recipe` as JSON).
        train_rows: JSONL of rendered rows, as `core.datasets.materialise` writes them.
        tasks: every task of the lineage to score, the new one last.
        parent_digest: digest of the folded tensors of the parent; the base's own digest for an empty chain.
        provenance: ids that the manifest repeats (project, model, task, job, fence, parent version).
    """

    schema_version: Literal[1] = 1
    base: BaseRef
    chain: tuple[ChainLink, ...]
    parent_digest: str
    recipe: dict[str, Any]
    train_rows: str
    tasks: tuple[ScoredTask, ...]
    template: dict[str, Any]
    provenance: dict[str, Any]
    device: str
    threads: int


class InspectSpec(_Strict):
    """One `inspect` job: read a base model from ``source`` (converted into ``target``) and write ``facts.json``."""

    schema_version: Literal[1] = 1
    source: str
    target: str
