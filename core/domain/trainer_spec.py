"""`spec.json`: what a worker asks of a trainer. Paths are relative to the job's folder unless said otherwise."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.domain.job_folder import ScoreEvent


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
        known_base: scores of the base that are not measured again on the same rows.
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
    known_base: tuple[ScoreEvent, ...] = ()
    device: str
    threads: int


class RebuildSpec(_Strict):
    """One `rebuild` job: the parent's version without some of its tasks.

    Attributes:
        links: the parent's whole chain, for what the left-out tasks wrote is told by their own artefacts.
        left_out: ids of the versions whose deltas are left out.
        recipe: of the last task that the parent learned: all tasks are scored by its limits, as the parent was.
        tasks: every task of the parent's chain to score, the left-out ones too.
        provenance: as in `TrainerSpec`; it names no task, but those that were left out.
    """

    schema_version: Literal[1] = 1
    base: BaseRef
    links: tuple[ChainLink, ...]
    left_out: tuple[str, ...]
    recipe: dict[str, Any]
    tasks: tuple[ScoredTask, ...]
    provenance: dict[str, Any]
    device: str
    threads: int

    @property
    def template(self) -> dict[str, Any]:
        """How a row becomes a prompt: no row is learned."""
        return {}

    @property
    def chain(self) -> tuple[ChainLink, ...]:
        """The links that stay, in order."""
        return tuple(link for link in self.links if link.version_id not in self.left_out)


class InspectSpec(_Strict):
    """One `inspect` job: read a base model from ``source`` (converted into ``target``) and write ``facts.json``."""

    schema_version: Literal[1] = 1
    source: str
    target: str
