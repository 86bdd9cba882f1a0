"""Canary logits: what a correctly loaded version answers to a few fixed prompts, stored beside its delta.

Hashes prove the files; the canary proves the loading: tokenizer, architecture, folding and kernels together.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.domain.errors import CorruptError
from core.weights import tensor_files
from core.weights.tokens import encode_prompt

# Each is longer than _PROMPT_TOKENS in any vocabulary, so that all make one batch without padding.
PROMPTS: Final = (
    "Is the harbour office open today, or is it closed until next Monday?",
    "The capital of France is a city that a great many people visit every year",
    "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    "Options: yes, no, perhaps, never\nThe parcel came late and was damaged.\nAnswer:",
)
_PROMPT_TOKENS: Final = 8
# The likeliest tokens say enough, and keep the file at a few kilobytes whatever the vocabulary.
_TOP: Final = 256
_TOKENS: Final = "tokens"
_LOGITS: Final = "logits"
_TOLERANCE: Final = {torch.float64: 1e-3, torch.float32: 1e-3}
_TOLERANCE_OF_HALVES: Final = 5e-2

# Returns the logits ``[prompts, vocabulary]`` after each prompt, given as token ids.
NextLogits = Callable[[list[list[int]]], Tensor]


def compute(model: Any, tokenizer: Any, family: Family) -> dict[str, Tensor]:
    """Return ``tokens`` (int32) and ``logits`` (float32), both ``[prompts, k]``: each prompt's likeliest next tokens."""
    logits_PV = _next_logits(model, tokenizer, family)
    top = torch.topk(logits_PV, min(_TOP, logits_PV.shape[1]), dim=1)
    return {_TOKENS: top.indices.to(torch.int32).contiguous(), _LOGITS: top.values.contiguous()}


def write(path: Path, canary: Mapping[str, Tensor]) -> None:
    """Write what `compute` returned."""
    tensor_files.write(path, canary, {})


def check(path: Path, model: Any, tokenizer: Any, family: Family, *, answer: NextLogits | None = None) -> float:
    """Compare the stored logits with what ``model`` says now, or with what ``answer`` does, which answers in its place.

    The tolerance is 1e-3 (half precision 5e-2) of the largest stored logit, or of 1 if that is smaller.

    Returns:
        the largest deviation, in the same unit.

    Raises:
        CorruptError: they differ by more, or the file does not fit the model.
    """
    stored, _ = tensor_files.read(path)
    if set(stored) != {_TOKENS, _LOGITS} or stored[_TOKENS].shape != stored[_LOGITS].shape:
        raise CorruptError("the canary file does not hold canary logits")
    if answer is None:
        logits_PV = _next_logits(model, tokenizer, family)
    else:
        logits_PV = answer(_prompts(tokenizer, family)).float().cpu()
    tokens_PK = stored[_TOKENS].long()
    if (
        tokens_PK.shape[0] != logits_PV.shape[0]
        or int(tokens_PK.min()) < 0
        or int(tokens_PK.max()) >= logits_PV.shape[1]
    ):
        raise CorruptError("the canary file is another model's")
    scale = max(1.0, float(stored[_LOGITS].abs().max()))
    deviation = float((logits_PV.gather(1, tokens_PK) - stored[_LOGITS]).abs().max()) / scale
    # Written so that NaN, which compares with nothing, is refused too.
    if not deviation <= _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALVES):
        raise CorruptError(f"the canary logits deviate by {deviation:.2e} of their scale")
    return deviation


def _prompts(tokenizer: Any, family: Family) -> list[list[int]]:
    return [encode_prompt(tokenizer, text, family, max_tokens=_PROMPT_TOKENS) for text in PROMPTS]


@torch.no_grad()
def _next_logits(model: Any, tokenizer: Any, family: Family) -> Tensor:
    """Return the logits after each prompt, float32 on the CPU ``[prompts, vocabulary]``."""
    ids = _prompts(tokenizer, family)
    inputs: dict[str, Any] = {"input_ids": torch.tensor(ids, device=model.device)}
    if family == "seq2seq":
        starts = torch.full((len(ids), 1), model.config.decoder_start_token_id, device=model.device)
        inputs["decoder_input_ids"] = starts
    was_training = model.training
    model.eval()
    try:
        logits: Tensor = model(**inputs, use_cache=False).logits[:, -1]
    finally:
        model.train(was_training)
    return logits.float().cpu()
