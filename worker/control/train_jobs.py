"""`train` jobs: the parent's chain and the tasks' rows go in, a version comes out."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.datasets.catalogue import FORMATS
from core.datasets.materialise import materialise
from core.datasets.split import Side
from core.datasets.templates import Template
from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, CorruptError, UnavailableError
from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.manifest import Manifest
from core.domain.ports import BlobStore
from core.domain.records import Json
from core.domain.trainer_spec import BaseRef, ChainLink, ScoredTask, TrainerSpec
from core.services.trainer_specs import StagedTask, StagingPlan
from core.storage import manifests
from worker.control import checkpoints, preflight
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
            chain=_stage_chain(plan, context, folder),
            parent_digest=plan.parent_digest,
            recipe=dict(plan.recipe),
            train_rows=_stage_training_rows(plan, context.blobs, folder),
            tasks=tuple(_stage_scored_task(task, context.blobs, folder) for task in plan.tasks),
            template=dict(plan.template),
            provenance=dict(plan.provenance),
            device=context.compute.device,
            threads=context.compute.threads,
        )
        checkpoints.adopt(folder, job_id=claim.job.id, store=context.checkpoints)
        crash_point("spec.before")
        folder.spec.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
        crash_point("spec.after")

    def finish(
        self,
        claim: Claim,
        context: WorkerContext,
        *,
        folder: JobFolder,
        heart: Heart,
        scores: tuple[ScoreEvent, ...],
    ) -> None:
        """Verify the artefact, store it, and only then make its version visible.

        Raises:
            CorruptError: the trainer left no complete artefact of this job.
            ConflictError: the registry refused the version; what was stored of it is gone.
        """
        manifest, sha256 = _read_manifest(folder.out)
        preflight.await_disk(context, heart, folder.out)
        key = f"versions/{manifest.provenance.project_id}/{manifest.provenance.model_id}/{sha256}"
        crash_point("store.before")
        heart.insist(lambda: context.artefacts.publish(folder.out, key=key))
        crash_point("store.after")

        def publish() -> None:
            # Past the last look at the lease: from here on only the fence keeps out a holder that comes too late.
            crash_point("publish.before")
            context.desk.publish(claim, manifest=manifest, scores=scores, artefact=key)
            crash_point("publish.after")

        try:
            heart.insist(publish)
        except ConflictError:
            # While the store is away it stays, and is collected later.
            with suppress(UnavailableError):
                context.artefacts.delete(key)
            raise
        context.notify_engine()


def _stage_chain(plan: StagingPlan, context: WorkerContext, folder: JobFolder) -> tuple[ChainLink, ...]:
    links = []
    for n, delta in enumerate(plan.chain):
        target = folder.chain / str(n)
        context.artefacts.fetch(delta.artefact, target=target)
        manifests.read(target, sha256=delta.manifest_sha256)
        links.append(
            ChainLink(
                version_id=delta.version_id,
                folder=_relative(target, folder),
                manifest_sha256=delta.manifest_sha256,
            ),
        )
    return tuple(links)


def _stage_training_rows(plan: StagingPlan, blobs: BlobStore, folder: JobFolder) -> str:
    folder.data.mkdir(exist_ok=True)
    side = Side.TRAIN if plan.eval_sha256 is None else Side.ALL
    target = folder.data / _TRAIN_ROWS
    blob, container = blobs.path(plan.train_sha256), plan.train_container
    materialise(blob, template=_template(plan.template), target=target, side=side, container=container)
    return _relative(target, folder)


def _stage_scored_task(task: StagedTask, blobs: BlobStore, folder: JobFolder) -> ScoredTask:
    """Render the task's own evaluation file, or else the held-out side of its training file."""
    side = Side.EVALUATION if task.eval_sha256 is None else Side.ALL
    blob = blobs.path(task.eval_sha256 or task.train_sha256)
    target = folder.data / f"eval-{task.task_id}.jsonl"
    materialise(blob, template=_template(task.template), target=target, side=side, container=task.eval_container)
    metrics = FORMATS[task.format].metrics
    return ScoredTask(task_id=task.task_id, name=task.name, rows=_relative(target, folder), metrics=metrics)


def _template(template: Json) -> Template:
    return Template.model_validate(dict(template))


def _relative(path: Path, folder: JobFolder) -> str:
    return path.relative_to(folder.root).as_posix()


def _read_manifest(out: Path) -> tuple[Manifest, str]:
    body = manifests.verify(out)
    try:
        manifest = Manifest.model_validate(body, strict=False)
    except ValidationError as error:
        raise CorruptError(f"the trainer's manifest has {error.error_count()} faults") from error
    return manifest, hashlib.sha256((out / manifests.NAME).read_bytes()).hexdigest()
