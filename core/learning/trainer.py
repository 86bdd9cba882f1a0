"""The training loop: steps in order, progress told, checkpoints written, and a polite stop between two steps."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from core.domain.job_folder import CheckpointEvent, Event, ProgressEvent
from core.learning.checkpoints import Checkpoints
from core.learning.divergence import LossWatch
from core.learning.early_stopping import HeldOut
from core.learning.feed import Feed
from core.learning.learner import Learner, StepFigures

Report = Callable[[Event], None]

_PROGRESS_SECONDS: Final = 0.5
CHECKPOINT_SECONDS: Final = 30.0


class CancelledError(Exception):
    """Somebody asked the run to stop; what it had learned is in its last checkpoint."""


@dataclass(slots=True, kw_only=True)
class Trainer:
    """One task's run.

    Attributes:
        stopping: says whether to stop after the current step; of several processes, any one may.
        losses: gives a run up that diverges.
        held_out: ends the run early, if that was asked for.
        checkpoints: None for a run that need not survive.
        notes: what a resumed run must also know, e.g. scores taken before the first step.
    """

    learner: Learner
    feed: Feed
    report: Report
    stopping: Callable[[], bool]
    losses: LossWatch
    held_out: HeldOut | None = None
    checkpoints: Checkpoints | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def run(self) -> None:
        """Train to the end, from the newest checkpoint if there is one, and leave the learner in its best state.

        Raises:
            CancelledError: `stopping` said so; a checkpoint is written first.
            DivergedError: the loss is no longer a number, or exploded.
        """
        learner = self.learner
        if self.checkpoints is not None:
            self.checkpoints.restore(learner, losses=self.losses, held_out=self.held_out)
        clock = _Clock(first_step=learner.step)
        while not self._ended():
            figures = self._step()
            if clock.progress_due() or self._ended() or self._measured():
                self._tell(figures, clock.eta_seconds(learner))
            stopping = learner.over_ranks(self.stopping()) > 0
            if stopping or self._ended() or clock.checkpoint_due(self.checkpoint_seconds):
                self._checkpoint()
            if stopping:
                raise CancelledError(f"stopped after step {learner.step}")
        if self.held_out is not None:
            self.held_out.restore_best(learner)

    def _step(self) -> StepFigures:
        learner, accelerator = self.learner, self.learner.accelerator
        rank, ranks = accelerator.process_index, accelerator.num_processes
        figures = learner.learn(self.feed.batches(learner.step, rank=rank, ranks=ranks))
        self.losses.see(figures.ce_loss, skipped=figures.skipped)
        if self.held_out is not None:
            self.held_out.after_step(learner)
        return figures

    def _ended(self) -> bool:
        stopped_early = self.held_out is not None and self.held_out.stopped
        return stopped_early or self.learner.step >= self.learner.total_steps

    def _measured(self) -> bool:
        return self.held_out is not None and self.held_out.loss is not None

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
        if self.held_out is not None and self.held_out.loss is not None:
            values["held_out_loss"] = self.held_out.loss
        self.report(
            ProgressEvent(
                step=learner.step,
                total_steps=learner.total_steps,
                eta_seconds=0.0 if self._ended() else eta_seconds,
                # A step that the fp16 scaler skipped has a gradient without a norm.
                values={name: value for name, value in values.items() if math.isfinite(value)},
            ),
        )

    def _checkpoint(self) -> None:
        if self.checkpoints is not None and self.learner.accelerator.is_main_process:
            self.checkpoints.save(self.learner, self.notes, losses=self.losses, held_out=self.held_out)
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
