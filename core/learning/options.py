"""How likely a model finds each option as the answer to a prompt; the options of several rows at once.

A causal model reads a prompt once: the keys and values of it serve all options, and its last logits the first token of
each. Options of one token need no more.

Shapes: R rows, T positions of the longest prompt, X those and what was run before, S sequences (an option of a row
each), L tokens of the longest of them, K tokens of all of them, V vocabulary.
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
from core.learning.batching import BATCH_TOKENS, Pace, cheapest_runs
from core.learning.beginnings import Beginning
from core.learning.loss import head_sees_only
from core.learning.rows import padded

# Passes of a batch: the prompts', and their options'.
PASSES: Final = 2
# Sequences of one pass: bounds their logits.
_SEQUENCES: Final = 128

# The number of a row, and tokens of one of its options.
_Sequence = tuple[int, list[int]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A prompt and the options to choose from, in tokens without an end token; an option has one at least."""

    prompt: list[int]
    options: list[list[int]]


@dataclass(frozen=True, slots=True)
class _Started:
    """What all options of a row share: the states of its prompt."""

    mask: Tensor
    states: Any


def likelihoods(
    model: Any, choices: Sequence[Choice], family: Family, *, pad: int, beginning: Beginning
) -> list[Tensor]:
    """Return the summed log-probability of each option's tokens, ``[options]`` for each row of a batch.

    Args:
        model: in evaluation mode.
        choices: a batch.
        family: of the model.
        pad: what inputs are filled up with.
        beginning: of every prompt, run before.
    """
    sequences = [(row, option) for row, choice in enumerate(choices) for option in choice.options]
    if family == "seq2seq":
        found_S = _in_pieces(model, _encoded(model, choices, pad), sequences, pad=pad)
    else:
        started, first_RV = _prefilled(model, choices, pad, beginning)
        rows_S = torch.tensor([row for row, _ in sequences], device=model.device)
        found_S = first_RV[rows_S, torch.tensor([option[0] for _, option in sequences], device=model.device)]
        longer = [number for number, (_, option) in enumerate(sequences) if len(option) > 1]
        if longer:
            found_S[longer] += _in_pieces(model, started, [sequences[number] for number in longer], pad=pad)
    return list(found_S.split([len(choice.options) for choice in choices]))


def batches(choices: Sequence[Choice], batch_size: int, *, begun: int, pace: Pace) -> Iterator[list[int]]:
    """Yield the numbers of choices that are weighed together, by the length of their prompts.

    Args:
        choices: any.
        batch_size: how many go together at most.
        begun: tokens of each prompt that were run before.
        pace: of the device; filling costs as much as tokens do.
    """
    order = sorted(range(len(choices)), key=lambda n: len(choices[n].prompt))
    lengths = [len(choices[n].prompt) for n in order]

    def cost(first: int, behind: int) -> float | None:
        rows, longest = behind - first, lengths[behind - 1]
        run = rows * (longest - begun)
        small = rows * longest <= BATCH_TOKENS and run <= pace.most_tokens
        return run + PASSES * pace.pass_tokens if rows <= batch_size and small else None

    for run in cheapest_runs(len(order), cost):
        yield [order[place] for place in run]


def _encoded(model: Any, choices: Sequence[Choice], pad: int) -> _Started:
    ids_RT, mask_RT = _prompts(model, [choice.prompt for choice in choices], pad, left=False)
    return _Started(mask_RT, model.get_encoder()(input_ids=ids_RT, attention_mask=mask_RT).last_hidden_state)


def _prefilled(model: Any, choices: Sequence[Choice], pad: int, beginning: Beginning) -> tuple[_Started, Tensor]:
    """Return the prompts' states, and the log-probabilities ``[R, V]`` of the token behind each."""
    begun = len(beginning.tokens)
    ids_RT, mask_RT = _prompts(model, [choice.prompt[begun:] for choice in choices], pad, left=True)
    mask_RX = functional.pad(mask_RT, (begun, 0), value=1)
    last_RT = torch.zeros_like(mask_RT, dtype=torch.bool)
    last_RT[:, -1] = True
    with head_sees_only(model, last_RT):
        read = model(
            input_ids=ids_RT,
            attention_mask=mask_RX,
            past_key_values=beginning.grown_by(len(choices)),
            use_cache=True,
            **_positions(model, mask_RX, ids_RT.shape[1]),
        )
    return _Started(mask_RX, read.past_key_values), functional.log_softmax(read.logits[0].float(), dim=-1)


def _in_pieces(model: Any, started: _Started, sequences: Sequence[_Sequence], *, pad: int) -> Tensor:
    """Return what `_continued` returns, of as many sequences at once as the copies of their prompts' states allow."""
    at_once = min(_SEQUENCES, max(1, BATCH_TOKENS // started.mask.shape[1]))
    pieces = [sequences[first : first + at_once] for first in range(0, len(sequences), at_once)]
    return torch.cat([_continued(model, started, piece, pad=pad) for piece in pieces])


def _continued(model: Any, started: _Started, sequences: Sequence[_Sequence], *, pad: int) -> Tensor:
    """Return the log-probability of each sequence's tokens; for a causal model without that of the first."""
    row_S = torch.tensor([row for row, _ in sequences], device=model.device)
    if model.config.is_encoder_decoder:
        start = [model.config.decoder_start_token_id]
        inputs = {"encoder_outputs": (started.states[row_S],), "attention_mask": started.mask[row_S]}
        return _read(model, [start + option for _, option in sequences], inputs, pad=pad)
    states = copy.copy(started.states)
    states.layers = [copy.copy(layer) for layer in states.layers]
    states.batch_select_indices(row_S)
    # Filling of options stands on the right, behind every token that counts: it may be seen.
    longest = max(len(option) for _, option in sequences) - 1
    mask_SX = functional.pad(started.mask[row_S], (0, longest), value=1)
    inputs = {"past_key_values": states, "attention_mask": mask_SX, **_positions(model, mask_SX, longest)}
    return _read(model, [option for _, option in sequences], inputs, pad=pad)


def _read(model: Any, sequences: Sequence[list[int]], inputs: dict[str, Any], *, pad: int) -> Tensor:
    """Return the log-probability of each sequence's tokens behind its first."""
    decoded = model.config.is_encoder_decoder
    tokens_SL = padded(sequences, value=pad).to(model.device)
    real_SL = padded([[1] * len(tokens) for tokens in sequences], value=0).to(model.device)[:, 1:] == 1
    ids = {"decoder_input_ids" if decoded else "input_ids": tokens_SL[:, :-1]}
    with head_sees_only(model, real_SL):
        logits_KV = model(**ids, **inputs, use_cache=not decoded).logits[0]
    chosen_K = -functional.cross_entropy(logits_KV.float(), tokens_SL[:, 1:][real_SL], reduction="none")
    return torch.zeros_like(real_SL, dtype=chosen_K.dtype).masked_scatter(real_SL, chosen_K).sum(dim=1)


def _prompts(model: Any, prompts: Sequence[list[int]], pad: int, *, left: bool) -> tuple[Tensor, Tensor]:
    mask = padded([[1] * len(prompt) for prompt in prompts], value=0, left=left)
    return padded(prompts, value=pad, left=left).to(model.device), mask.to(model.device)


def _positions(model: Any, mask: Tensor, last: int) -> dict[str, Tensor]:
    """Return where each of the last tokens stands if filling does not count, to a model that takes it."""
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return {}
    return {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -last:]}
