"""Settings that adapters share. No torch."""

from typing import Annotated, Literal

from pydantic import Field

from core.learning.strict import Strict

Name = Annotated[str, Field(min_length=1, max_length=300)]
ALL_LINEAR: Literal["all-linear"] = "all-linear"


class AdapterSettings(Strict):
    """Which modules learn."""

    target_modules: Annotated[tuple[Name, ...], Field(min_length=1, max_length=5000)] | Name | None = Field(
        None,
        description=(
            "Which linear modules are adapted: a list of names or ends of names, one regular expression for whole "
            "names, or 'all-linear'; by default the base model's own."
        ),
    )


class LowRankSettings(AdapterSettings):
    """Rank, scale and place of a low-rank update ``alpha / rank * B A``."""

    rank: int = Field(8, ge=1, le=4096, description="Inner dimension of the two factors.")
    alpha: float = Field(32.0, gt=0, le=1e6, description="Scale of the update: it is multiplied by alpha / rank.")
