"""What a worker must stage for one `train` job: ids, keys and hashes, resolved from the registry."""

from dataclasses import dataclass

from core.domain.records import Job, Json
from core.registry.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedDelta:
    """One artefact of the parent's chain; ``artefact`` is its key in the ArtefactStore."""

    version_id: str
    artefact: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTask:
    """One task to score. Blobs are named by sha256; no ``eval_sha256`` means the 10 % split of ``train_sha256``."""

    task_id: str
    name: str
    format: str
    train_sha256: str
    eval_sha256: str | None
    template: Json
    spec: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPlan:
    """Everything that `spec.json` says, before the files have paths in the job's folder.

    Attributes:
        base_path: absolute folder of the base model; base_digest is over its tensors.
        chain: the parent's deltas in order; empty for ``model@0``.
        parent_digest: of the parent's folded tensors.
        recipe: the effective method and training settings, as JSON.
        tasks: the tasks of the lineage in order, this job's own last.
        provenance: project_id, model_id, task_id, job_id, fence, parent_version_id.
    """

    base_path: str
    base_digest: str
    chain: tuple[StagedDelta, ...]
    parent_version_id: str
    parent_digest: str
    recipe: Json
    template: Json
    train_sha256: str
    eval_sha256: str | None
    tasks: tuple[StagedTask, ...]
    provenance: Json


def build(work: Work, *, job: Job) -> StagingPlan:
    """Return the plan of a claimed `train` job.

    Raises:
        ConflictError: ``parent_conflict``: the parent is no longer ready.
    """
    raise NotImplementedError
