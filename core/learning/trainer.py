"""The training loop: steps in order, progress told, checkpoints written, and a polite stop between two steps."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from core.domain.job_folder import CheckpointEvent, Event, ProgressEvent
from core.learning.checkpoints import Checkpoints
from core.learning.learner import Learner, StepFigures
from core.learning.loss import Batch
from core.learning.plan import Plan
from core.learning.rows import TokenRow, collate

Report = Callable[[Event], None]

_PROGRESS_SECONDS: Final = 0.5
CHECKPOINT_SECONDS: Final = 30.0


class CancelledError(Exception):
    """Somebody asked the run to stop; what it had learned is in its last checkpoint."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What each step sees.

    Attributes:
        batch_size: rows of a micro-batch; a step's rows are dealt out in micro-batches, and those over the ranks.
        pad: the token that fills up short rows.
    """

    rows: Sequence[TokenRow]
    plan: Plan
    batch_size: int
    pad: int

    def batches(self, step: int, learner: Learner) -> list[Batch]:
        """Return this rank's micro-batches of optimiser step ``step``, counted from 0; rows of like length together."""
        rows = sorted((self.rows[number] for number in self.plan.rows_of(step)), key=len)
        micro = [rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size)]
        ranks, rank = learner.accelerator.num_processes, learner.accelerator.process_index
        # Every rank must take part in every reduction: a rank left without rows repeats the last ones.
        mine = micro[rank::ranks] or micro[-1:]
        return [collate(batch, pad=self.pad) for batch in mine]


@dataclass(slots=True, kw_only=True)
class Trainer:
    """One task's run.

    Attributes:
        checkpoints: None for a run that need not survive.
        notes: what a resumed run must also know, e.g. scores taken before the first step.
        stopping: says whether to stop after the current step.
    """

    learner: Learner
    feed: Feed
    report: Report
    stopping: Callable[[], bool]
    checkpoints: Checkpoints | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def run(self) -> None:
        """Train to the last step, from the newest checkpoint if there is one.

        Raises:
            CancelledError: `stopping` said so; a checkpoint is written first.
            DivergedError: the loss is no longer a number.
        """
        learner = self.learner
        if self.checkpoints is not None:
            self.checkpoints.restore(learner)
        clock = _Clock(first_step=learner.step)
        while learner.step < learner.total_steps:
            figures = learner.learn(self.feed.batches(learner.step, learner))
            if clock.progress_due() or learner.step == learner.total_steps:
                self._tell(figures, clock.eta_seconds(learner))
            stopping = self.stopping()
            if stopping or learner.step == learner.total_steps or clock.checkpoint_due(self.checkpoint_seconds):
                self._checkpoint()
            if stopping:
                raise CancelledError(f"stopped after step {learner.step}")

    def _tell(self, figures: StepFigures, eta_seconds: float) -> None:
        learner = self.learner
        values = {
            "loss": figures.loss,
            "ce_loss": figures.ce_loss,
            **{f"{name}_loss": value for name, value in figures.objectives.items()},
            **learner.adapter.figures(),
            "learning_rate": learner.optimizer.param_groups[0]["lr"],
            "grad_norm": figures.grad_norm,
        }
        self.report(
            ProgressEvent(
                step=learner.step,
                total_steps=learner.total_steps,
                eta_seconds=eta_seconds,
                values=values,
            ),
        )

    def _checkpoint(self) -> None:
        if self.checkpoints is not None and self.learner.accelerator.is_main_process:
            self.checkpoints.save(self.learner, self.notes)
            self.report(CheckpointEvent(step=self.learner.step))


class _Clock:
    """When to speak, when to save, and how long it will still take."""

    def __init__(self, *, first_step: int) -> None:
        self._first_step = first_step
        self._started = self._saved = time.monotonic()
        self._told = 0.0

    def progress_due(self) -> bool:
        if time.monotonic() - self._told < _PROGRESS_SECONDS:
            return False
        self._told = time.monotonic()
        return True

    def checkpoint_due(self, every_seconds: float) -> bool:
        if time.monotonic() - self._saved < every_seconds:
            return False
        self._saved = time.monotonic()
        return True

    def eta_seconds(self, learner: Learner) -> float:
        done = learner.step - self._first_step
        return (time.monotonic() - self._started) / max(done, 1) * (learner.total_steps - learner.step)
