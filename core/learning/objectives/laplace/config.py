"""Settings of the Laplace penalty. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class LaplaceSettings(Strict):
    """A penalty on what the update would cost the earlier tasks, by the curvature of their losses."""

    strength: float = Field(
        1e4,
        ge=0,
        le=1e12,
        description="Factor of the estimated growth of the earlier tasks' losses, in nats a row: far over 1 where a task is "
        "known by heart, since its curvature is then all but flat; 0 switches it off.",
    )


PART = PartInfo(
    axis="objective",
    name="laplace",
    summary="Penalty on the growth of the earlier tasks' losses, as their curvature foretells it.",
    settings=LaplaceSettings,
    rule="core.learning.objectives.laplace.rule:Laplace",
    source="arXiv:1805.07810",
    requires=frozenset({"linear_delta"}),
    memories=("curvature",),
)
