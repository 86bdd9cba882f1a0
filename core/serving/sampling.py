"""Chooses the next token of one sequence from its logits."""

import secrets
from dataclasses import dataclass

import torch
from torch import Tensor

from core.serving.requests import MAX_SEED, CompletionRequest


@dataclass(frozen=True, slots=True)
class Sampler:
    """The sampling settings of one request and its own source of randomness.

    Whatever else is decoded in the same batch, the same seed draws the same numbers.
    """

    temperature: float
    top_p: float
    top_k: int | None
    generator: torch.Generator

    @classmethod
    def of(cls, request: CompletionRequest) -> "Sampler":
        """Return the sampler of a request; without a seed it takes a random one."""
        seed = secrets.randbelow(MAX_SEED) if request.seed is None else request.seed
        generator = torch.Generator(device="cpu").manual_seed(seed)
        return cls(request.temperature, request.top_p, request.top_k, generator)

    def choose(self, logits_V: Tensor) -> int:
        """Return the id of the next token, given its logits ``[vocabulary]``."""
        if self.temperature == 0:
            return int(logits_V.argmax())
        scaled = logits_V.float().cpu() / self.temperature
        count = min(self.top_k or scaled.numel(), scaled.numel())
        values, tokens = torch.topk(scaled, count)
        probabilities = torch.softmax(values, dim=0)
        # A token is kept while those likelier than it hold less than top_p together: one is always kept.
        kept = probabilities.cumsum(0) - probabilities < self.top_p
        chosen = torch.multinomial(probabilities * kept, 1, generator=self.generator)
        return int(tokens[chosen])
