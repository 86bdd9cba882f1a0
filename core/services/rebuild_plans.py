"""What a worker must stage for one `rebuild` job, resolved from the registry."""

from dataclasses import dataclass

from core.domain.base_facts import BaseFacts
from core.domain.errors import ConflictError
from core.domain.jobs import JobKind
from core.domain.records import Job, Json, Version
from core.learning.recipe import Recipe
from core.registry import base_models, jobs, models, versions
from core.registry.work import Work
from core.services import estimates, rebuilds
from core.services.chains import ChainDelta, deltas, is_ready
from core.services.publication import left_out_by
from core.services.trainer_specs import StagedTask, learned


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPlan:
    """Everything that a `RebuildSpec` says, before the files have paths in the job's folder.

    Attributes:
        links: the parent's whole chain; ``left_out`` are the ids of the versions in it whose deltas are left out.
        recipe: of the last task in the parent's chain, by whose limits all tasks are scored.
        tasks: every task of the parent's chain that can be scored.
        disk_bytes: of the chain's deltas, which are fetched.
        peak_memory_bytes: estimated.
    """

    base_path: str
    base_digest: str
    links: tuple[ChainDelta, ...]
    left_out: tuple[str, ...]
    recipe: Json
    tasks: tuple[StagedTask, ...]
    provenance: Json
    disk_bytes: int
    peak_memory_bytes: float


def build(work: Work, *, job: Job) -> RebuildPlan:
    """Return the plan of a claimed `rebuild` job.

    Raises:
        ConflictError: ``parent_conflict``: the parent is no longer ready, or what is to be left out is not in it;
            ``wrong_kind``: it is another job.
    """
    if job.kind is not JobKind.REBUILD or job.parent_version_id is None:
        raise ConflictError("only a claimed rebuild job has this plan", code="wrong_kind")
    parent = versions.get(work, job.parent_version_id)
    if not is_ready(work, parent):
        raise ConflictError("the parent version is no longer ready", code="parent_conflict")
    left_out = left_out_by(job)
    rebuilds.require_possible(work, parent, left_out)
    base = base_models.get(work, models.get(work, parent.model_id).base_model_id)
    links = versions.by_id(work, parent.chain)
    chain = [links[link] for link in parent.chain]
    recipe = _recipe(work, chain)
    return RebuildPlan(
        base_path=str(base.path),
        base_digest=str(base.digest),
        links=deltas(work, parent),
        left_out=tuple(link.id for link in chain if link.task_id in left_out),
        recipe=recipe.model_dump(mode="json"),
        tasks=learned(work, parent),
        provenance={
            "project_id": job.project_id,
            "model_id": job.model_id,
            "task_id": None,
            "job_id": job.id,
            "fence": job.fence,
            "parent_version_id": parent.id,
            "left_out": left_out,
        },
        disk_bytes=sum((link.delta or {}).get("size_bytes", 0) for link in chain),
        peak_memory_bytes=estimates.scoring_memory_bytes(BaseFacts.model_validate(base.facts), recipe),
    )


def _recipe(work: Work, chain: list[Version]) -> Recipe:
    """Return how the chain's last task was learned."""
    last = next(link for link in reversed(chain) if link.task_id)
    return Recipe.model_validate(jobs.get(work, str(last.job_id)).params["recipe"])
