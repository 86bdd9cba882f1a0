"""What the service answers, as frozen values. A field that this client does not know is kept, never an error."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from strata.client.account_results import GateReport, Rebuild
from strata.client.result import Result

TERMINAL_STATES: Final = frozenset({"succeeded", "rejected", "failed", "cancelled"})


class Health(Result):
    """Whether the service answers, and how its parts are: each ok, or an error code."""

    status: str = "ok"
    parts: Mapping[str, str] = Field(default_factory=dict)


class BaseModelInfo(Result):
    """A pretrained network that the operator allows. ``state`` is pending, ready or failed."""

    id: str
    name: str
    source: str
    state: str
    digest: str | None = None
    error: str | None = None
    facts: Mapping[str, Any] | None = None


class Model(Result):
    """A named, continually updated model."""

    id: str
    name: str = ""
    base_model: str | None = None
    policy: Mapping[str, Any] = Field(default_factory=dict)
    aliases: Mapping[str, str] = Field(default_factory=dict)
    created_at: str | None = None


class Dataset(Result):
    """An immutable set of examples, with its validation report."""

    id: str
    sha256: str
    size_bytes: int
    container: str = "jsonl"
    format: str
    n_rows: int
    created_at: str | None = None


class Task(Result):
    """A dataset and a learning method, posted to a model."""

    id: str
    name: str
    model_id: str | None = None
    dataset_id: str | None = None
    eval_dataset_id: str | None = None
    created_at: str | None = None


class Progress(Result):
    """How far a job is. ``percent`` is 0 to 100."""

    step: int = 0
    total_steps: int | None = None
    percent: float | None = None
    eta_seconds: float | None = None


class Figure(Result):
    """An estimate and what it rests on; None where nothing can be said."""

    value: float | None = None
    basis: str = ""


class Estimate(Result):
    """What a task will take."""

    tokens: Figure
    steps: Figure
    seconds: Figure
    peak_memory_bytes: Figure
    disk_bytes: Figure
    queue_wait_seconds: Figure


class JobFault(Result):
    """Why a job failed."""

    code: str
    detail: str | None = None


class Job(Result):
    """One execution. It ends in one of `TERMINAL_STATES`; ``result_version`` names what it left and ``try_it`` asks it."""

    id: str
    kind: str = "train"
    state: str
    phase: str | None = None
    model_id: str | None = None
    task_id: str | None = None
    progress: Progress = Progress()
    queue_position: int | None = None
    pause_requested: bool = False
    parent_version_id: str | None = None
    result_version_id: str | None = None
    result_version: str | None = None
    gate: GateReport | None = None
    try_it: str | None = None
    rebuild: Rebuild | None = None
    error: JobFault | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing can change any more."""
        return self.state in TERMINAL_STATES


class Event(Result):
    """One fact about a job. ``n`` counts from 1 and is what a stream resumes after."""

    n: int
    kind: str
    at: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    data: Mapping[str, Any] = Field(default_factory=dict)


class Point(Result):
    """One point of a curve."""

    step: int
    value: float


class Metrics(Result):
    """Curves of a job by series name, e.g. ``loss`` and ``sparsity``."""

    series: Mapping[str, Sequence[Point]] = Field(default_factory=dict)

    def latest(self, series: str) -> float | None:
        """Return the last value of a series; None before its first point."""
        points = self.series.get(series)
        return points[-1].value if points else None


class Version(Result):
    """What a job leaves: ``model@number``."""

    id: str
    number: int
    state: str
    name: str | None = None
    model_id: str | None = None
    parent_id: str | None = None
    task_id: str | None = None
    job_id: str | None = None
    chain: Sequence[str] = ()
    digest: str | None = None
    delta: Mapping[str, Any] | None = None
    gate: GateReport | None = None
    rebuild: Rebuild | None = None
    aliases: Sequence[str] = ()
    created_at: str | None = None


class Alias(Result):
    """A movable name for a version: ``version`` as ``model@number``."""

    name: str
    version_id: str
    version: str
    moves: int = 0
    moved_at: str | None = None


class AliasMove(Result):
    """One move of an alias: who, when, why, and what the gate said of the version."""

    n: int
    from_version_id: str | None = None
    to_version_id: str
    actor: str = ""
    reason: str = ""
    gate: str | None = None
    at: str | None = None


class Choice(Result):
    """One answer, or one piece of it in a stream."""

    index: int = 0
    text: str = ""
    finish_reason: str | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None


class Generation(Result):
    """An answer, or a piece of one, and the version that spoke."""

    id: str | None = None
    model: str | None = None
    version: str | None = None
    version_id: str | None = None
    choices: Sequence[Choice] = ()
    usage: Mapping[str, int] | None = None

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.choices[0].text if self.choices else ""


class Method(Result):
    """A learning method that can be asked for by name: its parts, and the JSON schema of what a task may set."""

    name: str
    description: str | None = None
    default: bool = False
    adapter: str | None = None
    objectives: Sequence[str] = ()
    memories: Sequence[str] = ()
    composition: str | None = None
    capabilities: Sequence[str] = ()
    stores_rows: bool = False
    grows_with_tasks: bool = False
    source: str | None = None
    page: str | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The JSON schemas of what a task may set, as the service's ``schema`` holds them."""
        return dict((self.model_extra or {}).get("schema", {}))
