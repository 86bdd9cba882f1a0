"""A whole model as a document: what an export writes beside the files, and an import reads.

Ids are those of the registry that wrote it; they serve as references within the document and are given anew when it is
read. The layout of the folder is in `core.storage.lineages`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.domain.gate_report import GateReport
from core.domain.identifiers import SLUG_PATTERN
from core.domain.jobs import JobKind
from core.domain.versions import VersionState

SCHEMA_VERSION: Final = 1
# What answers or may answer again: its files are part of an export.
WITH_FILES: Final = frozenset({VersionState.READY, VersionState.REJECTED})


def artefact_key(*, project_id: str, model_id: str, manifest_sha256: str) -> str:
    """Return the key under which a version's folder lies in the ArtefactStore."""
    return f"versions/{project_id}/{model_id}/{manifest_sha256}"


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(pattern=SLUG_PATTERN)]
_Count = Annotated[int, Field(ge=0, lt=2**62)]
_Json = dict[str, Any]


class _Entry(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", from_attributes=True, allow_inf_nan=False, regex_engine="python-re"
    )


class BaseEntry(_Entry):
    """The base model: found again by its digest."""

    name: str
    source: str
    digest: str


class ModelEntry(_Entry):
    """The model itself with its counters, which go on where they stood."""

    id: str
    name: _Name
    method: _Json
    policy: _Json
    fence: _Count
    next_seq: _Count
    next_number: _Count
    created_ms: _Count


class DatasetEntry(_Entry):
    """A file of rows, which its project may have deleted; its bytes may be part of the export or not."""

    id: str
    sha256: _Sha256
    size_bytes: Annotated[int, Field(gt=0, lt=2**62)]
    format: str
    n_rows: Annotated[int, Field(gt=0, lt=2**62)]
    report: _Json
    deleted_ms: _Count | None


class TaskEntry(_Entry):
    """A task that a version learned."""

    id: str
    name: _Name
    dataset_id: str
    eval_dataset_id: str | None
    spec: _Json
    template: _Json
    created_ms: _Count


class JobEntry(_Entry):
    """The `train` or `rebuild` job that left a version; only the former has a task."""

    id: str
    kind: JobKind = JobKind.TRAIN
    task_id: str | None
    seq: _Count
    params: _Json
    parent_version_id: str
    result_version_id: str
    fence: _Count
    claims: _Count
    step: _Count
    total_steps: _Count | None
    created_ms: _Count
    started_ms: _Count | None
    finished_ms: _Count | None

    @model_validator(mode="after")
    def _of_a_kind(self) -> Self:
        if self.kind not in {JobKind.TRAIN, JobKind.REBUILD} or (self.kind is JobKind.TRAIN) is (self.task_id is None):
            raise ValueError("a version comes of learning a task, or of leaving some out")
        return self


class VersionEntry(_Entry):
    """One version; the base, number 0, has no job, manifest or delta."""

    id: str
    number: _Count
    parent_id: str | None
    task_id: str | None
    job_id: str | None
    fence: _Count | None
    state: VersionState
    chain: tuple[str, ...]
    manifest_sha256: _Sha256 | None
    digest: str
    delta: _Json | None
    gate: GateReport | None = None
    created_ms: _Count


class MoveEntry(_Entry):
    """One move of an alias."""

    n: Annotated[int, Field(gt=0)]
    from_version_id: str | None
    to_version_id: str
    actor: str
    reason: str
    at_ms: _Count


class AliasEntry(_Entry):
    """An alias by its moves, of which the last is where it points."""

    name: _Name
    moves: Annotated[tuple[MoveEntry, ...], Field(min_length=1)]


class GeneralScoreEntry(_Entry):
    """How well a version reads the general text; see `core.domain.scores.Score`."""

    version_id: str
    metric: Annotated[str, Field(max_length=64)]
    value: float
    n_rows: _Count
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    rows_sha256: _Sha256 | None = None
    outcomes: tuple[float, ...] | None = None
    sizes: tuple[_Count, ...] | None = None


class ScoreEntry(GeneralScoreEntry):
    """One cell of the score matrix."""

    task_id: str


class EventEntry(_Entry):
    """One fact of the model's, a version's or a job's history."""

    subject_id: str
    n: Annotated[int, Field(gt=0)]
    at_ms: _Count
    kind: Annotated[str, Field(max_length=64)]
    from_state: str | None
    to_state: str | None
    fence: _Count | None
    actor: str
    data: _Json


class Lineage(_Entry):
    """A model, and everything that its versions stand on.

    Left out is what left no version (jobs that failed or wait, and their tasks), and curves and logs.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    exported_ms: _Count
    base: BaseEntry
    model: ModelEntry
    datasets: tuple[DatasetEntry, ...]
    tasks: tuple[TaskEntry, ...]
    jobs: tuple[JobEntry, ...]
    versions: Annotated[tuple[VersionEntry, ...], Field(min_length=1)]
    aliases: tuple[AliasEntry, ...]
    scores: tuple[ScoreEntry, ...]
    general_scores: tuple[GeneralScoreEntry, ...] = ()
    events: tuple[EventEntry, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Every reference is to an entry of its kind, and every version stands on older ones."""
        for what, asked, known in self._references():
            if not asked <= known:
                msg = f"{what} refers to what the document does not hold"
                raise ValueError(msg)
        self._require_order()
        return self

    def _references(self) -> Iterator[tuple[str, set[str], set[str]]]:
        datasets = {entry.id for entry in self.datasets}
        tasks = {entry.id for entry in self.tasks}
        jobs = {entry.id for entry in self.jobs}
        versions = {entry.id for entry in self.versions}
        moves = [move for alias in self.aliases for move in alias.moves]
        used = {name for entry in self.tasks for name in (entry.dataset_id, entry.eval_dataset_id) if name}
        yield "a task", used, datasets
        yield "a job", {entry.task_id for entry in self.jobs if entry.task_id}, tasks
        ends = {name for entry in self.jobs for name in (entry.parent_version_id, entry.result_version_id)}
        yield "a job", ends, versions
        yield "a version", {entry.task_id for entry in self.versions if entry.task_id}, tasks
        yield "a version", {entry.job_id for entry in self.versions if entry.job_id}, jobs
        yield (
            "an alias",
            {name for move in moves for name in (move.from_version_id, move.to_version_id) if name},
            versions,
        )
        yield "a score", {entry.version_id for entry in (*self.scores, *self.general_scores)}, versions
        yield "a score", {entry.task_id for entry in self.scores}, tasks
        yield "an event", {entry.subject_id for entry in self.events}, {self.model.id, *jobs, *versions}

    def _require_order(self) -> None:
        chains: dict[str | None, tuple[str, ...]] = {}
        numbers = [entry.number for entry in self.versions]
        if numbers != sorted(set(numbers)) or numbers[0] != 0 or numbers[-1] >= self.model.next_number:
            raise ValueError("the versions are not numbered in order")
        for entry in self.versions:
            if not _stands_on(entry, chains.get(entry.parent_id)):
                raise ValueError("a version's chain is not its parent's and its own")
            chains[entry.id] = entry.chain
            if (entry.number == 0) is not (entry.manifest_sha256 is None):
                raise ValueError("every version but the base has a manifest")


def _stands_on(entry: VersionEntry, parents: tuple[str, ...] | None) -> bool:
    """Say whether a version's chain is its parent's and its own; one that learned nothing may leave links out."""
    if entry.parent_id is None:
        return entry.chain == ()
    if parents is None or entry.chain[-1:] != (entry.id,):
        return False
    kept = set(entry.chain[:-1])
    expected = parents if entry.task_id else tuple(link for link in parents if link in kept)
    return entry.chain[:-1] == expected
