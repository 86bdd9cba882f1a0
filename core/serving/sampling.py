"""Chooses the next token of one sequence from its logits.

Shape legend: V vocabulary, A tokens that may come next, S tokens seen so far.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.serving.requests import MAX_SEED, CompletionRequest


@dataclass(frozen=True, slots=True)
class Sampler:
    """The sampling settings of one request and its own source of randomness.

    Whatever else is decoded in the same batch, the same seed draws the same numbers: one for each token.
    """

    temperature: float
    top_p: float
    top_k: int | None
    repetition_penalty: float
    generator: torch.Generator

    @classmethod
    def of(cls, request: CompletionRequest, *, answer: int = 0) -> "Sampler":
        """Return the sampler of an answer to a request; without a seed it takes a random one."""
        seed = secrets.randbelow(MAX_SEED) if request.seed is None else (request.seed + answer) % (MAX_SEED + 1)
        generator = torch.Generator(device="cpu").manual_seed(seed)
        return cls(request.temperature, request.top_p, request.top_k, request.repetition_penalty, generator)

    def choose(self, logits_V: Tensor, *, seen: Collection[int] = (), allowed: Sequence[int] | None = None) -> int:
        """Return the id of the next token.

        Args:
            logits_V: the model's logits.
            seen: tokens of the prompt and of the answer so far; with a repetition penalty ``p`` their logits are
                divided by ``p`` where they are positive and multiplied by it where they are not (Keskar et al. 2019,
                arXiv 1909.05858, section 4.1, in the form that keeps the order of signs).
            allowed: the tokens that may be chosen; None means all.
        """
        if self.repetition_penalty != 1 and seen:
            logits_V = self._penalised(logits_V, seen)
        if allowed is not None:
            logits_A = logits_V[torch.tensor(allowed, device=logits_V.device)]
            return allowed[self._place(logits_A)]
        return self._place(logits_V)

    def _penalised(self, logits_V: Tensor, seen: Collection[int]) -> Tensor:
        seen_S = torch.tensor(sorted(seen), device=logits_V.device)
        logits_S = logits_V[seen_S]
        penalty = self.repetition_penalty
        return logits_V.index_put((seen_S,), torch.where(logits_S > 0, logits_S / penalty, logits_S * penalty))

    def _place(self, logits_A: Tensor) -> int:
        if self.temperature == 0:
            return int(logits_A.argmax())
        kept, probabilities = self._kept(torch.softmax(logits_A.double().cpu() / self.temperature, dim=0))
        # One number between 0 and 1 is looked up among the summed probabilities, in the order of the vocabulary: tokens
        # that are about equally likely may change places between two computations, these places do not.
        drawn = torch.rand((), generator=self.generator, dtype=torch.float64)
        sums = probabilities.cumsum(0)
        place = min(int(torch.searchsorted(sums, drawn * sums[-1], right=True)), len(probabilities) - 1)
        return place if kept is None else int(kept[place])

    def _kept(self, probabilities_A: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the places that are drawn from, ascending, and their probabilities; None means all of them."""
        if self.top_k is None and self.top_p == 1:
            return None, probabilities_A
        values, places = torch.topk(probabilities_A, min(self.top_k or len(probabilities_A), len(probabilities_A)))
        values = values / values.sum()
        # A token is kept while those likelier than it hold less than top_p together: one is always kept.
        places = places[: int((values.cumsum(0) - values < self.top_p).sum())].sort().values
        return places, probabilities_A[places]


def likelihoods(logits_V: Tensor, tokens: Sequence[int], *, top: int) -> tuple[list[float], list[tuple[int, float]]]:
    """Return the log probabilities of ``tokens``, and the ``top`` likeliest tokens with theirs, likeliest first."""
    logprobs_V = torch.log_softmax(logits_V.float(), dim=0)
    values, ids = torch.topk(logprobs_V, min(top, len(logprobs_V)))
    likeliest = list(zip(ids.tolist(), values.tolist(), strict=True))
    return [float(logprobs_V[token]) for token in tokens], likeliest
