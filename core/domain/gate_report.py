"""What a gate found of a version: kept with the version, shown to its users."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from core.domain.policies import GatePolicy

# The error code of a job whose version failed.
GATE_REJECTED: Final = "gate_rejected"


class Verdict(StrEnum):
    """What a rule, or the gate as a whole, says."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"


class Rule(StrEnum):
    """What is asked of a version."""

    FLOOR = "floor"
    ABOVE_CHANCE = "above_chance"
    SINGLE_DROP = "single_drop"
    MEAN_DROP = "mean_drop"
    FINITE_WEIGHTS = "finite_weights"
    NORM_BOUND = "norm_bound"


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Drop(_Found):
    """How one earlier task does, before and after."""

    task_id: str
    task: str = Field(description="Its name.")
    metric: str
    before: float = Field(description="The parent version's score.")
    after: float = Field(description="This version's score.")
    drop: float = Field(description="What was lost; below 0, what was gained.")
    drop_low: float = Field(description="The least that was lost, at the policy's confidence over all tasks together.")
    n_rows: int
    paired: bool = Field(description="Whether both were scored on the very same rows, row by row.")


class Finding(_Found):
    """What one rule says, by which figures, and a sentence for people."""

    rule: Rule
    verdict: Verdict
    limit: float | None
    figures: dict[str, float]
    says: str


class GateReport(_Found):
    """Every rule's finding: a version fails if one of them does."""

    verdict: Verdict
    rules: tuple[Finding, ...]
    drops: tuple[Drop, ...] = Field(description="Of the earlier tasks that could be compared.")
    policy: GatePolicy = Field(description="By which it was judged.")

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The rules that say no."""
        return tuple(finding for finding in self.rules if finding.verdict is Verdict.FAILED)

    @property
    def rejects(self) -> bool:
        """Whether the version may not be served."""
        return self.verdict is Verdict.FAILED

    @property
    def why(self) -> str:
        """Why the version failed, in one line."""
        return "; ".join(f"{finding.rule}: {finding.says}" for finding in self.failures)
