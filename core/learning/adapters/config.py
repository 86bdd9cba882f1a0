"""Settings that every low-rank adapter has. No torch."""

from typing import Annotated

from pydantic import Field

from core.learning.recipe import Strict


class LowRankSettings(Strict):
    """Rank, scale and place of a low-rank update ``alpha / rank * B A``."""

    rank: int = Field(8, ge=1, le=4096, description="Inner dimension of the two factors.")
    alpha: float = Field(32.0, gt=0, le=1e6, description="Scale of the update: it is multiplied by alpha / rank.")
    target_modules: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Names, or ends of names, of the linear modules that are adapted; by default the base model's own.",
    )
