"""What goes into a job's folder whatever is computed there: artefacts of a chain, and rows to score on."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from core.datasets.materialise import materialise
from core.datasets.metrics import metrics_of
from core.datasets.split import Side
from core.datasets.templates import Template
from core.domain.crash_points import crash_point
from core.domain.job_folder import JobFolder
from core.domain.ports import BlobStore
from core.domain.trainer_spec import ChainLink, ScoredTask
from core.services.chains import ChainDelta
from core.services.trainer_specs import StagedTask
from core.storage import manifests
from worker.control.context import WorkerContext


def stage_chain(chain: Sequence[ChainDelta], context: WorkerContext, folder: JobFolder) -> tuple[ChainLink, ...]:
    """Fetch the artefacts of a chain.

    Raises:
        CorruptError: one is not what was published; MissingError: it is gone; UnavailableError: the store is away.
    """
    links = []
    for n, delta in enumerate(chain):
        target = folder.chain / str(n)
        context.artefacts.fetch(delta.artefact, target=target)
        manifests.read(target, sha256=delta.manifest_sha256)
        links.append(
            ChainLink(
                version_id=delta.version_id,
                folder=relative(target, folder),
                manifest_sha256=delta.manifest_sha256,
            ),
        )
    return tuple(links)


def write_spec(spec: BaseModel, folder: JobFolder) -> None:
    """Write what the trainer is asked; last of all, since it says that everything else is there."""
    crash_point("spec.before")
    folder.spec.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    crash_point("spec.after")


def stage_scored_task(task: StagedTask, blobs: BlobStore, folder: JobFolder) -> ScoredTask:
    """Render the task's own evaluation file, or else the held-out side of its training file."""
    folder.data.mkdir(exist_ok=True)
    side = Side.EVALUATION if task.eval_sha256 is None else Side.ALL
    blob = blobs.path(task.eval_sha256 or task.train_sha256)
    target = folder.data / f"eval-{task.task_id}.jsonl"
    template = Template.model_validate(dict(task.template))
    materialise(blob, template=template, target=target, side=side, container=task.eval_container)
    evaluation, training = task.spec.get("evaluation", {}), task.spec.get("training", {})
    return ScoredTask(
        task_id=task.task_id,
        name=task.name,
        rows=relative(target, folder),
        metrics=metrics_of(task.format, evaluation.get("metrics")),
        max_rows=evaluation.get("max_rows"),
        max_source_tokens=training.get("max_source_tokens"),
        max_target_tokens=training.get("max_target_tokens"),
    )


def relative(path: Path, folder: JobFolder) -> str:
    """Return a path as a spec names it: from the job's folder on."""
    return path.relative_to(folder.root).as_posix()
