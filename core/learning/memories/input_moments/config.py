"""Settings of the memory of input moments. No torch."""

from pydantic import Field

from core.learning.part import PartInfo
from core.learning.strict import Strict


class InputMomentsSettings(Strict):
    """How much is kept of the inputs that a task gives to the adapted layers: a statistic, never a row."""

    rank: int = Field(64, ge=1, le=4096, description="Directions that are kept of each layer's inputs.")
    max_rows: int = Field(256, ge=1, le=100_000, description="Training rows of each task that are looked at.")


PART = PartInfo(
    axis="memory",
    name="input_moments",
    summary="Second moments of the inputs that earlier tasks gave to the adapted layers; no rows.",
    settings=InputMomentsSettings,
    rule="core.learning.memories.input_moments.rule:InputMoments",
    source="arXiv:2103.07113",
    mixes_tasks=True,
)
