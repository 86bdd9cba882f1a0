"""`train` jobs: the parent's chain and the tasks' rows go in, a version comes out."""

import os
from dataclasses import fields
from typing import Final

from core.datasets.materialise import materialise
from core.datasets.split import Side
from core.datasets.templates import Template
from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.ports import BlobStore
from core.domain.scores import Score
from core.domain.trainer_spec import BaseRef, TrainerSpec
from core.services.trainer_specs import StagingPlan
from worker.control import checkpoints, preflight, results, staging
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart

_TRAIN_ROWS: Final = "train.jsonl"


class TrainJobs:
    """How `train` jobs are staged and finished."""

    module = "worker.compute.trainer"
    online = False

    def stage(self, claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart) -> None:
        """Fetch the chain, render the rows, and write the spec last."""
        plan = heart.insist(lambda: context.desk.plan(claim))
        blobs = {task.train_sha256 for task in plan.tasks} | {plan.train_sha256}
        size = sum(context.blobs.path(sha256).stat().st_size for sha256 in blobs)
        preflight.require_disk(context, expected_bytes=max(size, round(plan.disk_bytes)))
        preflight.require_memory(context.compute, os.environ, needed_bytes=plan.peak_memory_bytes)
        spec = TrainerSpec(
            base=BaseRef(path=plan.base_path, digest=plan.base_digest),
            chain=staging.stage_chain(plan.chain, context, folder),
            parent_digest=plan.parent_digest,
            recipe=dict(plan.recipe),
            train_rows=_stage_training_rows(plan, context.blobs, folder),
            tasks=tuple(staging.stage_scored_task(task, context.blobs, folder) for task in plan.tasks),
            template=dict(plan.template),
            provenance=dict(plan.provenance),
            known_base=tuple(_told_of_base(score) for score in plan.known_base),
            device=context.compute.device,
            threads=context.compute.threads,
        )
        checkpoints.adopt(folder, job_id=claim.job.id, store=context.checkpoints)
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
        """Make the version visible that the trainer left; see `worker.control.results.publish`."""
        results.publish(claim, context, folder=folder, heart=heart, scores=scores)


def _told_of_base(score: Score) -> ScoreEvent:
    told = {field.name: getattr(score, field.name) for field in fields(score) if field.name != "version_id"}
    return ScoreEvent(subject="base", **told)


def _stage_training_rows(plan: StagingPlan, blobs: BlobStore, folder: JobFolder) -> str:
    folder.data.mkdir(exist_ok=True)
    side = Side.TRAIN if plan.eval_sha256 is None else Side.ALL
    target = folder.data / _TRAIN_ROWS
    blob, container = blobs.path(plan.train_sha256), plan.train_container
    template = Template.model_validate(dict(plan.template))
    materialise(blob, template=template, target=target, side=side, container=container)
    return staging.relative(target, folder)
