"""What the gate said of a version, and what leaving tasks out came to, as frozen values."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from strata.client.result import Result


class LeftOut(Result):
    """A task that was left out."""

    task_id: str
    task: str


class Comparison(Result):
    """One task's score before and after; ``low`` and ``high`` bound the difference where the same rows were measured."""

    task_id: str
    task: str
    left_out: bool = False
    metric: str
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n_rows: int | None = None


class Rebuild(Result):
    """What a rebuilt version leaves out, what that changed, and where traces of the left-out tasks may remain."""

    left_out: Sequence[LeftOut] = ()
    learned_on_top: Sequence[str] = ()
    traces_in: Sequence[str] = ()
    comparison: Sequence[Comparison] = ()


class Finding(Result):
    """What one rule of the gate says: passed, failed or not_judged, and a sentence on the figures."""

    rule: str
    verdict: str
    limit: float | None = None
    figures: Mapping[str, float] = Field(default_factory=dict)
    says: str = ""


class Drop(Result):
    """How one earlier task does, before and after."""

    task: str
    metric: str
    before: float
    after: float
    drop: float
    drop_low: float
    n_rows: int


class GateReport(Result):
    """What the gate found of a version; one that failed is kept, and never served."""

    verdict: str
    rules: Sequence[Finding] = ()
    drops: Sequence[Drop] = ()
    policy: Mapping[str, Any] = Field(default_factory=dict)
