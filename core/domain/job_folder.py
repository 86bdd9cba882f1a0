"""The folder in which one claim of a job runs: the whole contract between a worker and its trainer.

    <jobs>/<job id>/<fence>/
        spec.json         written by the worker before it starts the trainer
        data/             train.jsonl, and one eval-<task id>.jsonl for each task to be scored
        chain/<n>/        the artefact folders of the parent's chain, in order
        events.jsonl      appended by the trainer's rank 0, one Event a line; the worker tails it
        trainer.log       the trainer's stdout and stderr
        checkpoints/      step-<n>/ folders, each complete once its manifest.json exists
        copies/           checkpoints on their way to where other machines find them; the worker's own
        out/              the version's artefact; complete once out/manifest.json exists

The trainer needs no database and no network. It dies with its worker: its standard input is a pipe that only the
worker holds open, and end of file on it means exit.
"""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.domain.jobs import Phase


class ExitCode(IntEnum):
    """How a trainer ends; anything else is a crash. The names, lower case, are job error codes."""

    OK = 0
    INVALID_SPEC = 10
    LOSS_DIVERGED = 11
    OUT_OF_MEMORY = 12
    CORRUPT_ARTEFACT = 13
    DISK_FULL = 14
    ORPHANED = 15
    CANCELLED = 16


@dataclass(frozen=True, slots=True, order=True)
class CheckpointPlace:
    """Which checkpoint of a job: a later claim's comes after an earlier one's, then the later step."""

    fence: int
    step: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"step-{self.step}"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths of one claim's folder."""

    root: Path

    @property
    def spec(self) -> Path:
        """What the trainer is asked, written before it starts."""
        return self.root / "spec.json"

    @property
    def data(self) -> Path:
        """Rendered rows."""
        return self.root / "data"

    @property
    def chain(self) -> Path:
        """Artefacts of the parent's chain."""
        return self.root / "chain"

    @property
    def events(self) -> Path:
        """What the trainer says, a line an event."""
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        """The trainer's stdout and stderr."""
        return self.root / "trainer.log"

    @property
    def checkpoints(self) -> Path:
        """From which an interrupted trainer resumes."""
        return self.root / "checkpoints"

    @property
    def copies(self) -> Path:
        """Checkpoints that the worker is uploading: links, so that the trainer may remove its own."""
        return self.root / "copies"

    @property
    def out(self) -> Path:
        """The version's artefact, manifest last."""
        return self.root / "out"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PhaseEvent(_Line):
    """The trainer entered a phase."""

    event: Literal["phase"] = "phase"
    phase: Phase


class ProgressEvent(_Line):
    """A step is done. ``values`` are the curves' points at this step, by series name."""

    event: Literal["progress"] = "progress"
    step: int = Field(ge=0)
    total_steps: int = Field(ge=0)
    eta_seconds: float | None = None
    values: dict[str, float] = {}


class CheckpointEvent(_Line):
    """A checkpoint is complete on disk."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int


class ScoreEvent(_Line):
    """One score, of the base (``subject="base"``) or of the new version (``subject="result"``).

    It is on a task's held-out rows, or, without a ``task_id``, on the general text. The other fields are those of
    `core.domain.scores.Score`.
    """

    event: Literal["score"] = "score"
    subject: Literal["base", "result"]
    task_id: str | None
    metric: str
    value: float
    n_rows: int
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    rows_sha256: str | None = None
    outcomes: tuple[float, ...] | None = None
    sizes: tuple[int, ...] | None = None


class ErrorEvent(_Line):
    """Why the trainer will exit with a code other than OK; ``detail`` is safe to show to users."""

    event: Literal["error"] = "error"
    code: str
    detail: str


Event = PhaseEvent | ProgressEvent | CheckpointEvent | ScoreEvent | ErrorEvent
EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
