"""Settings of full fine-tuning. No torch."""

from pydantic import Field

from core.learning.adapters.config import ALL_LINEAR, AdapterSettings, Name
from core.learning.part import PartInfo


class FullSettings(AdapterSettings):
    """Full fine-tuning of linear layers: the weights themselves learn; embeddings, norms and biases stay."""

    target_modules: tuple[Name, ...] | Name | None = Field(
        ALL_LINEAR,
        description="Which linear modules learn: a list of names or ends of names, a regular expression, or 'all-linear'.",
    )


PART = PartInfo(
    axis="adapter",
    name="full",
    summary="Full fine-tuning: the weights of the linear layers themselves learn.",
    settings=FullSettings,
    rule="core.learning.adapters.full.rule:Full",
    source="baseline",
    provides=frozenset({"linear_delta", "mergeable"}),
)
