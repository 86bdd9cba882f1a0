"""The proof that an export is its version: the same logits after the same prompts, at every position."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.domain.errors import InvalidError
from core.domain.export_spec import ExportSpec
from core.domain.exports import ExportDtype, ExportFormat, Parity
from core.weights.canary import PROMPTS
from core.weights.exporting.version import Opened
from core.weights.tokens import encode_prompt

# In float32 on both sides: the same tensors give the same bits. A sum that is taken in another order, as an adapter's is,
# differs in the last ones, and so by a share of the largest logit.
EXACT: Final = 1e-4
# As a share of the largest logit, where weights were rounded to 16 bits on one side only.
ROUNDED: Final = 5e-2


@torch.no_grad()
def logits(model: Any, tokenizer: Any, family: Family) -> list[Tensor]:
    """Return the logits ``[positions, vocabulary]``, float32 on the CPU, of each of the fixed prompts."""
    model.eval()
    answers = []
    for prompt in PROMPTS:
        inputs = {"input_ids": torch.tensor([encode_prompt(tokenizer, prompt, family)], device=model.device)}
        if family == "seq2seq":
            start = model.config.decoder_start_token_id
            inputs["decoder_input_ids"] = torch.full((1, 1), start, device=model.device)
        # A SHiRA adapter is a sparse tensor: that its entries lie within the layer is part of the proof.
        with torch.sparse.check_sparse_tensor_invariants():
            answers.append(model(**inputs, use_cache=False).logits[0].float().cpu())
    return answers


def prove(opened: Opened, own: Sequence[Tensor], *, spec: ExportSpec, family: Family, stored: torch.dtype) -> Parity:
    """Return the proof that what was opened says what the version says.

    Args:
        opened: the export.
        own: the version's own logits.
        spec: what was asked.
        family: of the base model.
        stored: the dtype of the base model's own files.

    Raises:
        InvalidError: ``parity_failed``: it says something else; the export must not be delivered.
    """
    theirs = logits(opened.model, opened.tokenizer, family)
    if [each.shape for each in theirs] != [each.shape for each in own]:
        raise _refusal("its tokenizer splits the prompts otherwise, or its vocabulary is another")
    largest = max(float(each.abs().max()) for each in own)
    difference = max(float((mine - other).abs().max()) for mine, other in zip(own, theirs, strict=True))
    tolerance = _tolerance(spec, stored, largest)
    # Written so that NaN, which compares with nothing, is refused too.
    if not difference <= tolerance:
        raise _refusal(f"its logits differ by {difference:.2e}, and {tolerance:.2e} is allowed")
    if opened.digest not in {None, spec.version_digest}:
        raise _refusal("its tensors do not have the version's digest")
    return Parity(
        version_digest=spec.version_digest,
        same_tensors=None if opened.digest is None else True,
        prompts=PROMPTS,
        max_abs_difference=difference,
        largest_logit=largest,
        tolerance=tolerance,
        opened_by={name: metadata.version(name) for name in opened.by},
    )


def _tolerance(spec: ExportSpec, stored: torch.dtype, largest: float) -> float:
    """Return what logits may differ by: more where one side alone rounds its weights, or adds them up otherwise."""
    is_adapter = spec.format is ExportFormat.ADAPTER
    if spec.dtype is ExportDtype.F16 or (is_adapter and stored != torch.float32):
        return ROUNDED * max(1.0, largest)
    return EXACT * max(1.0, largest) if is_adapter else EXACT


def _refusal(why: str) -> InvalidError:
    return InvalidError(
        f"the export was not delivered, for opened again it is not the version: {why}", code="parity_failed"
    )
