"""`rebuild` jobs: a chain and the rows to score on go in, a version without some of its tasks comes out."""

import os

from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.trainer_spec import BaseRef, RebuildSpec
from worker.control import preflight, results, staging
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart


class RebuildJobs:
    """How `rebuild` jobs are staged and finished. They keep no checkpoint: one that breaks off begins anew."""

    module = "worker.compute.rebuild"
    online = False

    def stage(self, claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart) -> None:
        """Fetch the chain, also of what is left out; render the rows to score on; and write the spec last."""
        plan = heart.insist(lambda: context.desk.rebuild_plan(claim))
        size = sum(context.blobs.path(task.eval_sha256 or task.train_sha256).stat().st_size for task in plan.tasks)
        preflight.require_disk(context, expected_bytes=size + plan.disk_bytes)
        preflight.require_memory(context.compute, os.environ, needed_bytes=plan.peak_memory_bytes)
        spec = RebuildSpec(
            base=BaseRef(path=plan.base_path, digest=plan.base_digest),
            links=staging.stage_chain(plan.links, context, folder),
            left_out=plan.left_out,
            recipe=dict(plan.recipe),
            tasks=tuple(staging.stage_scored_task(task, context.blobs, folder) for task in plan.tasks),
            provenance=dict(plan.provenance),
            device=context.compute.device,
            threads=context.compute.threads,
        )
        staging.write_spec(spec, folder)

    def finish(
        self,
        claim: Claim,
        context: WorkerContext,
        *,
        folder: JobFolder,
        heart: Heart,
        scores: tuple[ScoreEvent, ...],
    ) -> None:
        """Make the version visible that was built; see `worker.control.results.publish`."""
        results.publish(claim, context, folder=folder, heart=heart, scores=scores)
