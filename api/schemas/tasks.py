"""Tasks and jobs."""

from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field

from api.schemas.base import Request, View
from api.schemas.models import Slug
from api.schemas.rebuilds import RebuildView
from core.domain.gate_report import GateReport
from core.domain.jobs import JobKind, JobState, Phase
from core.learning.recipe import TaskSpec

Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z]+_[0-9a-z]+$")]


class TaskFields(Request):
    """What is said of a task, however its rows arrive."""

    model: str = Field(min_length=1, max_length=200, description="Name or id.")
    name: Slug = Field(description="Unique in its model.")
    dataset_id: Identifier | None = None
    eval_dataset_id: Identifier | None = Field(
        default=None, description="Rows to score on; without any, a tenth of the rows is held out."
    )
    spec: TaskSpec = TaskSpec()
    expected_parent: Identifier | None = Field(
        default=None, description="Refuse the task unless this version is the model's head."
    )
    dry_run: bool = Field(
        default=False, description="Check and estimate only: 200 with the estimate, and nothing is queued or kept."
    )


class EstimateFields(TaskFields):
    """What is said of a task that shall only be estimated; the name may be left out."""

    name: Slug = Field(default_factory=lambda: f"estimate-{uuid4().hex}", description="Unique in its model.")


class EstimateRequest(EstimateFields):
    """Estimate a task on a dataset that is already here."""

    dataset_id: Identifier


class TaskRequest(TaskFields):
    """Post a task on a dataset that is already here."""

    dataset_id: Identifier


class TaskView(View):
    """A dataset and a learning method, posted to a model."""

    id: str
    object: Literal["task"] = "task"
    model_id: str
    name: str
    dataset_id: str
    eval_dataset_id: str | None
    effective_spec: dict[str, Any]
    template: dict[str, Any]
    created_at: str


class FigureView(View):
    """An estimate and what it rests on."""

    value: float | None
    basis: str


class EstimateView(View):
    """What a task will take; nothing was queued."""

    object: Literal["estimate"] = "estimate"
    effective_spec: dict[str, Any]
    tokens: FigureView = Field(description="Trained on, over all steps.")
    steps: FigureView
    seconds: FigureView = Field(description="Of the whole job, scoring included, once it runs.")
    peak_memory_bytes: FigureView
    disk_bytes: FigureView
    queue_wait_seconds: FigureView


class ProgressView(View):
    """How far a job is."""

    step: int
    total_steps: int | None
    percent: float | None
    eta_seconds: float | None


class JobErrorView(View):
    """Why a job failed; the codes stand in docs/reference/errors.md."""

    code: str
    detail: str | None


class JobView(View):
    """One execution."""

    id: str
    object: Literal["job"] = "job"
    kind: JobKind
    state: JobState
    phase: Phase | None
    model_id: str | None
    model: str | None
    task_id: str | None
    task: str | None
    base_model_id: str | None
    progress: ProgressView
    queue_position: int | None = Field(
        description="1 for a queued job before which no other one of the project stands; other projects are not counted."
    )
    attempt: int
    cancel_requested: bool
    pause_requested: bool
    effective_spec: dict[str, Any] | None
    parent_version_id: str | None
    result_version_id: str | None
    result_version: str | None
    gate: GateReport | None = Field(description="What the gate found of the version that the job left.")
    retry_of: str | None
    rebuild: RebuildView | None = Field(description="Of a `rebuild` job: what it leaves out, and what came of it.")
    error: JobErrorView | None
    try_it: str | None = Field(description="After success: the command line that asks the new version.")
    created_at: str
    started_at: str | None
    finished_at: str | None


class EventView(View):
    """One fact about a job."""

    object: Literal["event"] = "event"
    n: int
    subject_id: str
    kind: str
    at: str
    from_state: str | None
    to_state: str | None
    actor: str
    data: dict[str, Any]


class PointView(View):
    """One point of a curve."""

    step: int
    value: float


class MetricsView(View):
    """Curves of a job by series."""

    object: Literal["metrics"] = "metrics"
    job_id: str
    series: dict[str, list[PointView]]


class LogView(View):
    """The end of what the trainer printed."""

    object: Literal["log"] = "log"
    job_id: str
    text: str
    truncated: bool
