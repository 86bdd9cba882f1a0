"""How well a causal model reads documents: every token is predicted from those before it in its document.

Shapes: B blocks, K predicted tokens of the batch, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch.nn import functional

from core.learning.loss import IGNORED, target_logits
from core.learning.packing import packed
from core.learning.rows import TokenRow, collate

# Tokens of one batch: bounds its logits, which are K x V.
_BATCH_TOKENS: Final = 2_048

# The number of a document and one of its blocks.
_Block = tuple[int, TokenRow]


@dataclass(frozen=True, slots=True)
class Reading:
    """A document: ``n_right`` of ``n_tokens`` were the likeliest; ``nll`` is the sum of their -log likelihoods."""

    n_right: int = 0
    n_tokens: int = 0
    nll: float = 0.0

    def __add__(self, other: "Reading") -> "Reading":
        return Reading(self.n_right + other.n_right, self.n_tokens + other.n_tokens, self.nll + other.nll)


def read_documents(
    model: Any,
    documents: Sequence[Sequence[int]],
    *,
    block_tokens: int,
    batch_size: int,
    pulse: Callable[[], None],
) -> list[Reading]:
    """Return how well ``model`` predicts each document by itself, in blocks of at most ``block_tokens``.

    Args:
        model: causal, in evaluation mode.
        documents: in tokens, each of at least two.
        block_tokens: as the documents were learned by; a block begins with the last token of the one before it.
        batch_size: blocks that are read together at most.
        pulse: called after each batch; it may raise to stop.
    """
    blocks = [
        (number, TokenRow(*block))
        for number, each in enumerate(documents)
        for block in packed([each], block_tokens=block_tokens)
    ]
    readings = [Reading()] * len(documents)
    for batch in _batches(sorted(blocks, key=lambda block: len(block[1])), batch_size):
        for (number, _), reading in zip(batch, _read(model, [row for _, row in batch]), strict=True):
            readings[number] += reading
        pulse()
    return readings


def _read(model: Any, blocks: Sequence[TokenRow]) -> Iterator[Reading]:
    logits_KV, targets_K = target_logits(model, collate(blocks, pad=0).to(model.device), "causal")
    right_K = logits_KV.argmax(dim=-1) == targets_K
    nll_K = functional.cross_entropy(logits_KV.float(), targets_K, reduction="none")
    counts = [sum(label != IGNORED for label in block.labels[1:]) for block in blocks]
    for right, nll, count in zip(right_K.split(counts), nll_K.split(counts), counts, strict=True):
        yield Reading(int(right.sum()), count, float(nll.double().sum()))


def _batches(blocks: Sequence[_Block], batch_size: int) -> Iterator[list[_Block]]:
    """Yield blocks together, shortest first, as long as they are few enough and their padded tokens too."""
    batch: list[_Block] = []
    for number, block in blocks:
        if batch and (len(batch) == batch_size or len(block.input_ids) * (len(batch) + 1) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append((number, block))
    if batch:
        yield batch
