"""Settings of the output-drift penalty. No torch."""

from pydantic import Field

from core.learning.recipe import Strict


class DriftSettings(Strict):
    """A penalty on changing what the adapted layers answer to the inputs of earlier tasks."""

    strength: float = Field(
        400.0,
        ge=0,
        le=1e12,
        description="Factor of the mean relative drift of the layers' outputs; 0 switches the penalty off.",
    )
