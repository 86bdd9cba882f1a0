"""Jobs, their events and their checkpoints, as OpenAI's clients read them."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import Field

from api.schemas.base import View
from core.domain.jobs import JobState
from core.domain.records import Event, Job, Task
from core.registry.work import Work
from core.services import fine_tuning, jobs
from core.services.jobs import Surroundings

Status = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
Auto = Literal["auto"]

# The gate's refusal is a failure with a code of its own.
_STATUS: Final[dict[JobState, Status]] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.SUCCEEDED: "succeeded",
    JobState.REJECTED: "failed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_UNHAPPY: Final = frozenset({JobState.REJECTED, JobState.FAILED})
# Behind these digits a rate that was multiplied and divided again differs from what was given.
_DIGITS: Final = 12


class HyperparametersView(View):
    """What was asked; `auto` where the method decided."""

    n_epochs: int | float | Auto
    batch_size: int
    learning_rate_multiplier: float = Field(description="Of the rate that the model would take.")


class SupervisedView(View):
    """Settings of learning from examples."""

    hyperparameters: HyperparametersView


class MethodView(View):
    """How is learned."""

    type: Literal["supervised"] = "supervised"
    supervised: SupervisedView


class FineTuningErrorView(View):
    """Why a job failed; the codes stand in docs/reference/errors.md."""

    code: str
    message: str
    param: None = None


class FineTuningJobView(View):
    """A job that learns a task; `GET /v1/jobs/{job_id}` tells more of the same."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    status: Status
    model: str = Field(description="The model that learns, by its name.")
    fine_tuned_model: str | None = Field(description="After success: the version that the job left, as `name@3`.")
    organization_id: str
    training_file: str
    validation_file: str | None
    hyperparameters: HyperparametersView
    method: MethodView
    seed: int
    trained_tokens: None = Field(default=None, description="Not counted here.")
    result_files: list[str] = Field(description="None: `GET /v1/jobs/{job_id}/metrics` has the curves.")
    integrations: list[str]
    metadata: dict[str, str]
    error: FineTuningErrorView | None


class FineTuningEventView(View):
    """One thing that happened to a job."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class CheckpointMetricsView(View):
    """Where the curves stood."""

    step: int
    train_loss: float | None


class FineTuningCheckpointView(View):
    """A state of the model that can be asked: the version that the job left."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: CheckpointMetricsView


def job_list(work: Work, rows: Sequence[Job]) -> list[FineTuningJobView]:
    """Show jobs that learn tasks."""
    around = jobs.surroundings(work, rows)
    return [_job(work, row, around) for row in rows]


def job(work: Work, row: Job) -> FineTuningJobView:
    """Show one job that learns a task."""
    return job_list(work, [row])[0]


def event(row: Event) -> FineTuningEventView:
    """Show an event."""
    is_metrics = row.kind == "progress"
    return FineTuningEventView(
        id=row.id,
        created_at=row.at_ms // 1000,
        level="error" if row.to_state in _UNHAPPY else "info",
        message=_message(row),
        type="metrics" if is_metrics else "message",
        data=_metrics(row) if is_metrics else dict(row.data),
    )


def checkpoints(work: Work, row: Job) -> list[FineTuningCheckpointView]:
    """Show the version that a job left, if it did; checkpoints on the way serve to go on from, not to be asked."""
    around = jobs.surroundings(work, [row])
    version, name = around.results.get(row.result_version_id or ""), _fine_tuned_model(row, around)
    if version is None or name is None:
        return []
    losses = [
        point.value
        for point in jobs.metrics(work, project_id=row.project_id, job_id=row.id, series=("loss",), max_points=1)
    ]
    return [
        FineTuningCheckpointView(
            id=version.id,
            created_at=version.created_ms // 1000,
            fine_tuning_job_id=row.id,
            fine_tuned_model_checkpoint=name,
            step_number=row.step,
            metrics=CheckpointMetricsView(step=row.step, train_loss=losses[-1] if losses else None),
        )
    ]


def _job(work: Work, row: Job, around: Surroundings) -> FineTuningJobView:
    task = around.tasks[str(row.task_id)]
    model = around.models.get(row.model_id or "")
    hyperparameters = _hyperparameters(task, model.method if model else {})
    eta_ms = None if row.eta_seconds is None else work.now_ms() + int(1000 * row.eta_seconds)
    return FineTuningJobView(
        id=row.id,
        created_at=row.created_ms // 1000,
        finished_at=_seconds(row.finished_ms),
        estimated_finish=_seconds(eta_ms),
        status=_STATUS[row.state],
        model=model.name if model else str(row.model_id),
        fine_tuned_model=_fine_tuned_model(row, around),
        organization_id=row.project_id,
        training_file=task.dataset_id,
        validation_file=task.eval_dataset_id,
        hyperparameters=hyperparameters,
        method=MethodView(supervised=SupervisedView(hyperparameters=hyperparameters)),
        seed=task.spec["training"]["seed"],
        result_files=[],
        integrations=[],
        metadata=dict(row.params.get("metadata", {})),
        error=_error(row),
    )


def _fine_tuned_model(row: Job, around: Surroundings) -> str | None:
    model, version = around.models.get(row.model_id or ""), around.results.get(row.result_version_id or "")
    if row.state is not JobState.SUCCEEDED or model is None or version is None:
        return None
    return f"{model.name}@{version.number}"


def _hyperparameters(task: Task, defaults: Any) -> HyperparametersView:
    training = task.spec["training"]
    usual = fine_tuning.usual_rate(defaults, method=task.spec["method"])
    return HyperparametersView(
        n_epochs=_epochs(training["epochs"]),
        batch_size=training["batch_size"],
        learning_rate_multiplier=float(f"{training['learning_rate'] / usual:.{_DIGITS}g}"),
    )


def _epochs(asked: float | None) -> int | float | Auto:
    if asked is None:
        return "auto"
    return int(asked) if asked == int(asked) else asked


def _error(row: Job) -> FineTuningErrorView | None:
    if row.state not in _UNHAPPY:
        return None
    return FineTuningErrorView(code=row.error_code or "internal_error", message=row.error_detail or "the job failed")


def _message(row: Event) -> str:
    if row.to_state is not None:
        because = row.data.get("detail") or row.data.get("reason")
        return f"The job is {row.to_state}" + (f": {because}" if because else "")
    if row.kind == "progress":
        loss = row.data.get("values", {}).get("loss")
        step = f"Step {row.data['step']} of {row.data['total_steps']}"
        return step if loss is None else f"{step}: training loss {loss:.4g}"
    said = {
        "phase": "The job is {phase}",
        "checkpoint": "A checkpoint to go on from was written at step {step}",
        "cancel_requested": "The job was asked to stop",
        "pause_requested": "The job was asked to pause",
        "pause_withdrawn": "The job shall go on after all",
    }.get(row.kind, row.kind.replace("_", " "))
    return said.format_map({"phase": "", "step": "", **row.data})


def _metrics(row: Event) -> dict[str, Any]:
    values = dict(row.data.get("values", {}))
    loss = {"train_loss": values["loss"]} if "loss" in values else {}
    return {"step": row.data["step"], "total_steps": row.data["total_steps"], **loss, **values}


def _seconds(ms: int | None) -> int | None:
    return None if ms is None else ms // 1000
