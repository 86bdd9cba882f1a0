"""Settings of plain LoRA. No torch."""

from core.learning.adapters.config import LowRankSettings
from core.learning.part import PartInfo


class LoraSettings(LowRankSettings):
    """Plain LoRA (Hu et al. 2021, arXiv 2106.09685): nothing beyond rank, scale and place."""


PART = PartInfo(
    axis="adapter",
    name="lora",
    summary="Plain LoRA: a dense low-rank update.",
    settings=LoraSettings,
    rule="core.learning.adapters.lora.rule:Lora",
    source="arXiv:2106.09685",
    provides=frozenset({"linear_delta", "mergeable", "has_factors", "low_rank", "free_teacher"}),
)
