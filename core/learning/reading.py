"""How well a causal model reads documents: every token is predicted from those before it in its document.

Shapes: B blocks, K predicted tokens of the batch, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.learning.loss import cross_entropy, target_logits
from core.learning.packing import packed
from core.learning.rows import TokenRow, collate

# Tokens of one batch: bounds its logits, which are K x V.
_BATCH_TOKENS: Final = 2_048
# Above it a perplexity is no number that can be stored.
_MAX_LOG_PERPLEXITY: Final = 700.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: ``n_right`` of ``n_tokens`` were the likeliest; ``nll`` is the sum of their -log likelihoods."""

    n_right: int
    n_tokens: int
    nll: float

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the model's first guess, 0 to 1."""
        return self.n_right / self.n_tokens

    @property
    def perplexity(self) -> float:
        """Exponential of the mean -log likelihood, 1 or more."""
        # In this order a mean that is no number becomes the bound too.
        return math.exp(min(_MAX_LOG_PERPLEXITY, self.nll / self.n_tokens))


def read_documents(
    model: Any,
    documents: Sequence[Sequence[int]],
    *,
    block_tokens: int,
    batch_size: int,
    pulse: Callable[[], None],
) -> Reading:
    """Return how well ``model`` predicts each document by itself, in blocks of at most ``block_tokens``.

    Args:
        model: causal, in evaluation mode.
        documents: in tokens, each of at least two.
        block_tokens: as the documents were learned by; a block begins with the last token of the one before it.
        batch_size: blocks that are read together at most.
        pulse: called after each batch; it may raise to stop.
    """
    blocks = [TokenRow(*block) for each in documents for block in packed([each], block_tokens=block_tokens)]
    n_right, n_tokens, nll = 0, 0, 0.0
    for batch in _batches(sorted(blocks, key=len), batch_size):
        logits_KV, targets_K = target_logits(model, collate(batch, pad=0).to(model.device), "causal")
        n_right += int((logits_KV.argmax(dim=-1) == targets_K).sum())
        n_tokens += len(targets_K)
        nll += float(cross_entropy(logits_KV, targets_K, "causal"))
        pulse()
    return Reading(n_right, n_tokens, nll)


def _batches(blocks: Sequence[TokenRow], batch_size: int) -> Iterator[list[TokenRow]]:
    """Yield blocks together, shortest first, as long as they are few enough and their padded tokens too."""
    batch: list[TokenRow] = []
    for block in blocks:
        if batch and (len(batch) == batch_size or len(block.input_ids) * (len(batch) + 1) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(block)
    if batch:
        yield batch
