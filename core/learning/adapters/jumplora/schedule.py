"""When the threshold starts and how the gate closes over a task's steps (JumpLoRA, section 3)."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class GateSchedule:
    """The gate is open up to step ``s0``, closes linearly, and is closed from step ``s1`` on.

    Runs so short that ``s0`` is 0 start the threshold after their first step, before the first gated forward pass (no
    product is known before); a ramp of no steps is a jump to 1.
    """

    s0: int
    s1: int

    @classmethod
    def of(cls, first: float, final: float, max_steps: int) -> Self:
        """Return the schedule of a run of ``max_steps`` optimiser steps; ``first`` and ``final`` are shares of it."""
        return cls(int(first * max_steps), int(final * max_steps))

    def starts_after(self, step: int) -> bool:
        """Whether the threshold is started after optimiser step ``step`` (from 1)."""
        return step == max(self.s0, 1)

    def has_started(self, step: int) -> bool:
        """Whether the threshold is started after optimiser step ``step``, or before it."""
        return step >= max(self.s0, 1)

    def interpolation_after(self, step: int) -> float:
        """Return f as the forward pass of step ``step + 1`` uses it."""
        if step < max(self.s0, 1):
            return 0.0
        if self.s1 <= self.s0:
            return 1.0
        return min((step - self.s0) / (self.s1 - self.s0), 1.0)
