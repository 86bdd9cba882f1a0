"""How likely a model finds each option as the answer to a prompt; the options of several rows at once.

Shapes: R rows, T positions of the longest prompt, S sequences (an option of a row each), L tokens of the longest option,
V vocabulary.
"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from core.domain.base_facts import Family
from core.learning.exchanges import BATCH_TOKENS
from core.learning.rows import padded

# Sequences of one pass: bounds their logits, and with the tokens of a batch the copies of keys and values.
_SEQUENCES: Final = 128


@dataclass(frozen=True, slots=True)
class Choice:
    """A prompt and the options to choose from, in tokens without an end token."""

    prompt: list[int]
    options: list[list[int]]


@dataclass(frozen=True, slots=True)
class _Started:
    """What all options of a row share: for a causal model the keys and values of all but its last token."""

    mask: Tensor
    states: Any
    last_R1: Tensor | None


def likelihoods(model: Any, choices: Sequence[Choice], family: Family, *, pad: int) -> list[Tensor]:
    """Return the summed log-probability of each option's tokens, ``[options]`` for each row of a batch."""
    started = _encoded(model, choices, pad) if family == "seq2seq" else _prefilled(model, choices, pad)
    sequences = [(row, option) for row, choice in enumerate(choices) for option in choice.options]
    pieces = [
        _continued(model, started, sequences[first : first + _SEQUENCES], family, pad=pad)
        for first in range(0, len(sequences), _SEQUENCES)
    ]
    return list(torch.cat(pieces).split([len(choice.options) for choice in choices]))


def batches(choices: Sequence[Choice], batch_size: int) -> Iterator[list[int]]:
    """Yield the numbers of choices that are weighed together, by the length of their prompts."""
    batch: list[int] = []
    for number in sorted(range(len(choices)), key=lambda n: len(choices[n].prompt)):
        sequences = sum(len(choices[other].options) for other in (*batch, number))
        too_large = sequences > _SEQUENCES or sequences * len(choices[number].prompt) > BATCH_TOKENS
        if batch and (len(batch) == batch_size or too_large):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _encoded(model: Any, choices: Sequence[Choice], pad: int) -> _Started:
    ids_RT, mask_RT = _prompts(model, choices, pad, left=False)
    return _Started(mask_RT, model.get_encoder()(input_ids=ids_RT, attention_mask=mask_RT).last_hidden_state, None)


def _prefilled(model: Any, choices: Sequence[Choice], pad: int) -> _Started:
    ids_RT, mask_RT = _prompts(model, choices, pad, left=True)
    # The prompt's last token is run with the options: its logits predict their first tokens.
    head_RT, mask_head_RT = ids_RT[:, :-1], mask_RT[:, :-1]
    cache = None
    if head_RT.shape[1]:
        cache = model(
            input_ids=head_RT, attention_mask=mask_head_RT, use_cache=True, **_positions(model, mask_head_RT)
        ).past_key_values
    return _Started(mask_RT, cache, ids_RT[:, -1:])


def _continued(
    model: Any, started: _Started, sequences: Sequence[tuple[int, list[int]]], family: Family, *, pad: int
) -> Tensor:
    row_S = torch.tensor([row for row, _ in sequences], device=model.device)
    tokens_SL = padded([option for _, option in sequences], value=pad).to(model.device)
    real_SL = padded([[1] * len(option) for _, option in sequences], value=0).to(model.device)
    if family == "seq2seq":
        first_S1 = torch.full((len(sequences), 1), model.config.decoder_start_token_id, device=model.device)
        logits_SLV = model(
            encoder_outputs=(started.states[row_S],),
            attention_mask=started.mask[row_S],
            decoder_input_ids=torch.cat([first_S1, tokens_SL[:, :-1]], dim=1),
            use_cache=False,
        ).logits
    else:
        logits_SLV = _continued_cache(model, started, row_S, tokens_SL)
    log_probabilities_SLV = functional.log_softmax(logits_SLV.float(), dim=-1)
    chosen_SL = log_probabilities_SLV.gather(2, tokens_SL.unsqueeze(2)).squeeze(2)
    return (chosen_SL * real_SL).sum(dim=1)


def _continued_cache(model: Any, started: _Started, row_S: Tensor, tokens_SL: Tensor) -> Tensor:
    assert started.last_R1 is not None  # noqa: S101 - a causal start has it
    cache = copy.deepcopy(started.states)
    if cache is not None:
        cache.batch_select_indices(row_S)
    inputs_SL = torch.cat([started.last_R1[row_S], tokens_SL[:, :-1]], dim=1)
    # Filling of options stands on the right, behind every token that counts: it may be seen.
    mask_SX = functional.pad(started.mask[row_S], (0, inputs_SL.shape[1] - 1), value=1)
    positions = {name: position[:, -inputs_SL.shape[1] :] for name, position in _positions(model, mask_SX).items()}
    logits: Tensor = model(
        input_ids=inputs_SL, attention_mask=mask_SX, past_key_values=cache, use_cache=cache is not None, **positions
    ).logits
    return logits


def _prompts(model: Any, choices: Sequence[Choice], pad: int, *, left: bool) -> tuple[Tensor, Tensor]:
    prompts = [choice.prompt for choice in choices]
    mask = padded([[1] * len(prompt) for prompt in prompts], value=0, left=left)
    return padded(prompts, value=pad, left=left).to(model.device), mask.to(model.device)


def _positions(model: Any, mask: Tensor) -> dict[str, Tensor]:
    """Return where each token stands if filling on its left does not count, to a model that takes it."""
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return {}
    return {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}
