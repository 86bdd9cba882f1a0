"""Greedy answers to a batch of prompts, each no longer than its own limit.

Shapes: B prompts, T positions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.learning.beginnings import Beginning
from core.learning.exchanges import Exchange
from core.learning.rows import padded


def greedy_answers(
    model: Any, tokenizer: Any, exchanges: Sequence[Exchange], family: Family, *, pad: int, beginning: Beginning
) -> list[str]:
    """Return what the model answers to prompts that all end by the same tokens, and have ``beginning``, run before."""
    from transformers import GenerationConfig

    # Filling where generation wants it: on the left for causal models, whose answers continue the last column; between
    # what was run and what was not.
    left = family == "causal"
    prompts = [each.prompt[len(beginning.tokens) :] for each in exchanges]
    head_BT = torch.tensor([list(beginning.tokens)] * len(prompts), dtype=torch.int64)
    input_ids_BT = torch.cat([head_BT, padded(prompts, value=pad, left=left)], dim=1).to(model.device)
    rest_BT = padded([[1] * len(prompt) for prompt in prompts], value=0, left=left)
    mask_BT = torch.cat([torch.ones_like(head_BT), rest_BT], dim=1).to(model.device)
    # A seq2seq answer begins with the decoder's start token, a causal one with the whole prompt.
    begun = input_ids_BT.shape[1] if left else 1
    limits_B = torch.tensor([each.limit for each in exchanges], device=model.device)

    def is_long_enough(ids_BT: Tensor, _: Any, **__: Any) -> Tensor:
        return ids_BT.shape[1] - begun >= limits_B

    config = GenerationConfig(
        max_new_tokens=max(each.limit for each in exchanges),
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=sorted(exchanges[0].ends),
        pad_token_id=pad,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )
    with _plain_generation(model):
        output = model.generate(
            input_ids=input_ids_BT,
            attention_mask=mask_BT,
            past_key_values=beginning.grown_by(len(prompts)),
            generation_config=config,
            stopping_criteria=[is_long_enough],
        )
    answers = [row[: each.limit] for row, each in zip(output[:, begun:].tolist(), exchanges, strict=True)]
    return list(tokenizer.batch_decode(answers, skip_special_tokens=True))


@contextmanager
def _plain_generation(model: Any) -> Iterator[None]:
    """Keep the model's own generation settings (penalties, sampling) out of greedy scoring; its end tokens stay."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=own.eos_token_id)
    try:
        yield
    finally:
        model.generation_config = own
