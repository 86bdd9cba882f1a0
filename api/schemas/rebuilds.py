"""Un-learning: what it came to."""

from pydantic import Field

from api.schemas.base import View


class LeftOutView(View):
    """A task that was left out."""

    task_id: str
    task: str


class ComparisonView(View):
    """One task's score before and after. The interval is of the difference, paired over the same held-out rows."""

    task_id: str
    task: str
    left_out: bool
    metric: str
    before: float | None
    after: float
    difference: float | None = Field(description="After less before; of perplexities that of their logarithms.")
    low: float | None = Field(
        description="Lower bound of the difference's 95 % interval; null where rows are not paired."
    )
    high: float | None
    n_rows: int


class RebuildView(View):
    """What a rebuilt version leaves out, what that changed, and what of the left-out tasks may still be in it."""

    left_out: list[LeftOutView]
    learned_on_top: list[str] = Field(
        description="Tasks that stay and were learned while a left-out one was there: their deltas, which stay as they "
        "are, were fitted to its weights."
    )
    traces_in: list[str] = Field(
        description="Memories of the method whose state was gathered with a left-out task and goes on to the next one, "
        "e.g. second moments; never rows."
    )
    comparison: list[ComparisonView] = Field(description="Of each task with the parent; empty until the job is over.")
