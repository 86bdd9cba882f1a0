"""Settings of the ELLA penalty (arXiv 2601.02232). No torch."""

from typing import Literal

from pydantic import Field

from core.learning.recipe import Strict


class EllaSettings(Strict):
    """A penalty on changing again the weights that earlier tasks changed."""

    strength: float = Field(3e4, ge=0, le=1e12, description="Factor lambda of the penalty; 0 switches it off.")
    delta: Literal["interpolated", "sparse"] = Field(
        "interpolated",
        description="The update that is penalised: as the forward pass uses it, or only its kept entries.",
    )
