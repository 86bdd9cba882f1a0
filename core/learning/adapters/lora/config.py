"""Settings of plain LoRA. No torch."""

from core.learning.adapters.config import LowRankSettings


class LoraSettings(LowRankSettings):
    """Plain LoRA (Hu et al. 2021, arXiv 2106.09685): nothing beyond rank, scale and place."""
