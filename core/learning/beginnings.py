"""What rows begin alike with is run once: its keys and values serve every batch that goes on from there.

Exact: a causal model reads a token by those before it alone. A sequence-to-sequence model reads each prompt as a whole,
and shares nothing; nor does a model whose layers keep less than all keys and values.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from core.domain.base_facts import Family
from core.learning.batching import pace_of
from core.learning.branches import Branch, Tokens, branched
from core.learning.loss import head_sees_only


class _LentLayer(DynamicLayer):
    """Keys and values of a beginning that a pass reads; what it puts behind them is not kept."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


@dataclass(frozen=True, slots=True)
class Beginning:
    """Tokens that were run.

    Attributes:
        tokens: from the start of every prompt that begins with them.
        layers: their keys and values, ``[1, heads, tokens, width]`` each.
    """

    tokens: Sequence[int] = ()
    layers: tuple[tuple[Tensor, Tensor], ...] = ()

    def lent_to(self, n_rows: int) -> Any:
        """Return a cache that one pass of ``n_rows`` rows reads; None where nothing was run."""
        return self._cache(n_rows, _LentLayer)

    def grown_by(self, n_rows: int) -> Any:
        """Return a cache that keeps what passes of ``n_rows`` rows put behind it; None where nothing was run."""
        return self._cache(n_rows, DynamicLayer)

    def with_more(self, model: Any, tokens: Tokens) -> "Beginning":
        """Return this beginning and ``tokens`` behind it, which are run."""
        if not tokens:
            return self
        ids_1T = torch.tensor([list(tokens)], device=model.device)
        with head_sees_only(model, torch.zeros_like(ids_1T, dtype=torch.bool)):
            states = model(input_ids=ids_1T, past_key_values=self.grown_by(1), use_cache=True).past_key_values
        return Beginning([*self.tokens, *tokens], tuple((layer.keys, layer.values) for layer in states.layers))

    def _cache(self, n_rows: int, kind: Any) -> Any:
        return Cache(layers=[_layer(kind, *states, n_rows) for states in self.layers]) if self.layers else None


def beginnings(
    model: Any, prompts: Sequence[Tokens], family: Family, *, passes: int
) -> Iterator[tuple[Beginning, list[int]]]:
    """Yield each beginning that prompts share, with the numbers of those that go on from it by themselves.

    The last token of a prompt is never part of it. Each prompt's number comes once.

    Args:
        model: in evaluation mode, without gradients.
        prompts: in tokens.
        family: of the model.
        passes: of a batch. A beginning must save more tokens than those of a batch more, and of its own pass, cost.
    """
    if not _may_share(model, family):
        yield Beginning(), list(range(len(prompts)))
        return
    worth = (1 + passes) * pace_of(model.device.type).pass_tokens
    yield from _along(model, branched([prompt[:-1] for prompt in prompts], worth=worth), Beginning())


def _along(model: Any, branch: Branch, before: Beginning) -> Iterator[tuple[Beginning, list[int]]]:
    here = before.with_more(model, branch.tokens)
    if branch.alone:
        yield here, branch.alone
    for longer in branch.branches:
        yield from _along(model, longer, here)


def _may_share(model: Any, family: Family) -> bool:
    if (
        family == "seq2seq"
        or not {"past_key_values", "position_ids"} <= inspect.signature(model.forward).parameters.keys()
    ):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _layer(kind: Any, keys: Tensor, values: Tensor, n_rows: int) -> Any:
    layer = kind()
    layer.lazy_initialization(keys, values)
    layer.keys, layer.values = keys.expand(n_rows, -1, -1, -1), values.expand(n_rows, -1, -1, -1)
    return layer
