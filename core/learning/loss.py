"""The loss on target tokens only, with logits formed only where there are targets.

Shapes: B rows, T positions, K target tokens of the batch, V vocabulary.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.domain.base_facts import Family

Forward = Callable[..., Any]

IGNORED: Final = -100
# Share of a batch's positions that a shared prefix must save, or the second pass costs more than it saves.
_WORTH_SHARING: Final = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows ready for the model.

    Attributes:
        labels_BT: the target tokens, ``IGNORED`` elsewhere. For a causal model at the positions of the input that hold
            them; for a sequence-to-sequence model the decoder's own sequence.
    """

    input_ids_BT: Tensor
    attention_mask_BT: Tensor
    labels_BT: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on ``device``."""
        return Batch(self.input_ids_BT.to(device), self.attention_mask_BT.to(device), self.labels_BT.to(device))


def target_count(batch: Batch, family: Family) -> int:
    """Return K. A causal model cannot be asked for its very first token."""
    labels_BT = batch.labels_BT[:, 1:] if family == "causal" else batch.labels_BT
    return int((labels_BT != IGNORED).sum())


def target_logits(
    model: Any,
    batch: Batch,
    family: Family,
    *,
    forward: Forward | None = None,
    share_prefix: bool = False,
    past: Any = None,
) -> tuple[Tensor, Tensor]:
    """Return the logits ``[K, V]`` that predict the targets, and the targets ``[K]``, row by row in order.

    Args:
        model: whose head is narrowed to the targets.
        batch: rows in tokens.
        family: of the model.
        forward: what to call where it is not the model itself, but a wrapper of it.
        share_prefix: whether a causal model may run what all rows begin with once; the same loss and gradients.
        past: keys and values of what all rows of the batch begin with, where that was run before.
    """
    labels_BT = batch.labels_BT
    inputs: dict[str, Any] = {"attention_mask": batch.attention_mask_BT}
    if family == "seq2seq":
        wanted_BT = labels_BT != IGNORED
        targets_K = labels_BT[wanted_BT]
        inputs["input_ids"] = batch.input_ids_BT
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels=labels_BT)
    else:
        wanted_BT = functional.pad(labels_BT[:, 1:] != IGNORED, (0, 1))
        targets_K = labels_BT[:, 1:][wanted_BT[:, :-1]]
        if share_prefix and (length := shared_prefix(batch)):
            past = _run_prefix(forward or model, model, batch, length)
        shared = 0 if past is None else past.get_seq_length()
        inputs["input_ids"], wanted_BT = batch.input_ids_BT[:, shared:], wanted_BT[:, shared:]
    if past is not None:
        inputs["past_key_values"] = past
    with head_sees_only(model, wanted_BT):
        logits_KV = (forward or model)(**inputs, use_cache=past is not None).logits[0]
    return logits_KV, targets_K


def shared_prefix(batch: Batch) -> int:
    """Return how many leading tokens all rows share, where running them once for all is worth a second, short pass.

    The rows of a classification task begin alike, by their question and options: often more than half of the batch.
    """
    ids_BT = batch.input_ids_BT
    alike_T = ((ids_BT == ids_BT[:1]) & (batch.attention_mask_BT == 1) & (batch.labels_BT == IGNORED)).all(dim=0)
    # The last shared token stays with the rows: a prefix is only keys and values, and a row needs a token to begin with.
    length = int(alike_T.long().cumprod(dim=0).sum()) - 1
    saved, whole = length * (len(ids_BT) - 1), ids_BT.numel()
    return length if saved >= _WORTH_SHARING * whole else 0


def _run_prefix(forward: Forward, model: Any, batch: Batch, length: int) -> Any:
    """Return the keys and values of the shared prefix, once for each row; gradients flow back through them, summed."""
    ids_1T = batch.input_ids_BT[:1, :length]
    with head_sees_only(model, torch.zeros_like(ids_1T, dtype=torch.bool)):
        cache = forward(input_ids=ids_1T, use_cache=True).past_key_values
    cache.batch_repeat_interleave(len(batch.input_ids_BT))
    return cache


def target_loss(
    model: Any,
    batch: Batch,
    family: Family,
    *,
    forward: Forward | None = None,
    share_prefix: bool = False,
) -> Tensor:
    """Return the summed cross-entropy over the batch's target tokens; see `cross_entropy`."""
    logits_KV, targets_K = target_logits(model, batch, family, forward=forward, share_prefix=share_prefix)
    return cross_entropy(logits_KV, targets_K, family)


def cross_entropy(logits_KV: Tensor, targets_K: Tensor, family: Family) -> Tensor:
    """Return the summed cross-entropy of the targets.

    It is formed in the type in which the model's own loss is: fp32 for causal models, which Hugging Face narrows even
    from float64, and never below fp32 for the others.
    """
    own = torch.float32 if family == "causal" else torch.promote_types(logits_KV.dtype, torch.float32)
    return functional.cross_entropy(logits_KV.to(own), targets_K, reduction="sum")


@contextmanager
def head_sees_only(model: Any, wanted_BT: Tensor) -> Iterator[None]:
    """Give the output embedding the wanted positions alone, as ``[1, K, d]``.

    Everything that an architecture does before or after its head still happens, on K positions in place of B x T.
    """

    def select(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][wanted_BT].unsqueeze(0), *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()
