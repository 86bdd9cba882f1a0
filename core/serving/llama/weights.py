"""The weights of one version as its steps read them: views of the network's own tensors, nothing copied.

Shape legend: T tokens, I inputs, O outputs.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.serving.llama.packing import GROUPS, runs
from core.serving.llama.products import product


class Products:
    """Several linear layers of one input, in as few matrix products as their places in memory allow."""

    def __init__(self, linears: list[nn.Linear]) -> None:
        self._many = len(linears)
        self._runs: list[tuple[list[int], list[int], Tensor, Tensor | None]] = []
        for places, weight_OI in runs([linear.weight.detach() for linear in linears]):
            sizes = [linears[place].out_features for place in places]
            biases = [linears[place].bias for place in places]
            bias_O = None if biases[0] is None else torch.cat([bias.detach() for bias in biases])
            self._runs.append((places, sizes, weight_OI, bias_O))
        self._pieces = list(_pieces(linears))

    def __call__(self, x_TI: Tensor) -> list[Tensor]:
        """Return each layer's output ``[T, O]``, in the order in which they were given."""
        if len(self._runs) == 1:
            places, sizes, weight_OI, bias_O = self._runs[0]
            if places == sorted(places):
                return list(product(x_TI, weight_OI, bias_O).split(sizes, -1))
        outputs: list[Tensor] = [x_TI] * self._many
        for places, sizes, weight_OI, bias_O in self._runs:
            found = product(x_TI, weight_OI, bias_O).split(sizes, -1)
            for place, output in zip(places, found, strict=True):
                outputs[place] = output
        return outputs

    def into(self, out_O: Tensor, x_I: Tensor, scale: float) -> None:
        """Write the outputs of one token, scaled before the biases are added, in the order of the layers."""
        for place, weight_OI, bias_O in self._pieces:
            piece_O = out_O[place]
            if bias_O is None:
                torch.addmv(piece_O, weight_OI, x_I, beta=0, alpha=scale, out=piece_O)
            else:
                torch.addmv(bias_O, weight_OI, x_I, alpha=scale, out=piece_O)


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block."""

    attention_norm: Tensor
    queries_keys_values: Products
    attention_out: Tensor
    attention_out_bias: Tensor | None
    feed_norm: Tensor
    gate_up: Products
    feed_out: Tensor
    feed_out_bias: Tensor | None


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """A version's weights, in the order in which a step reads them.

    Attributes:
        cosines, sines: of every position of the context, ``[position, 1, head size]``, as `forward.rotated` wants them.
    """

    embedding: Tensor
    layers: list[Layer]
    norm: Tensor
    head: Tensor
    cosines: Tensor
    sines: Tensor


def rotations(model: Any, context_tokens: int) -> tuple[Tensor, Tensor]:
    """Return ``cosines`` and ``sines`` of a base, as its own rotation computes them; its versions share them."""
    like = model.model.embed_tokens.weight
    positions = torch.arange(context_tokens, device=like.device)[None]
    with torch.no_grad():
        cosines, sines = model.model.rotary_emb(like, positions)
    half = cosines.shape[-1] // 2
    signed = torch.cat([-sines[0, :, :half], sines[0, :, half:]], -1)
    return cosines[0][:, None].contiguous(), signed[:, None].contiguous()


def weights_of(model: Any, cosines: Tensor, sines: Tensor) -> LlamaWeights:
    """Return the weights of a network that `shape_of` knows."""
    layers = [
        Layer(
            attention_norm=layer.input_layernorm.weight.detach(),
            queries_keys_values=Products([layer.get_submodule(name) for name in GROUPS[0]]),
            attention_out=layer.self_attn.o_proj.weight.detach(),
            attention_out_bias=_bias(layer.self_attn.o_proj),
            feed_norm=layer.post_attention_layernorm.weight.detach(),
            gate_up=Products([layer.get_submodule(name) for name in GROUPS[1]]),
            feed_out=layer.mlp.down_proj.weight.detach(),
            feed_out_bias=_bias(layer.mlp.down_proj),
        )
        for layer in model.model.layers
    ]
    return LlamaWeights(
        embedding=model.model.embed_tokens.weight.detach(),
        layers=layers,
        norm=model.model.norm.weight.detach(),
        head=model.lm_head.weight.detach(),
        cosines=cosines,
        sines=sines,
    )


def _pieces(linears: list[nn.Linear]) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
    """Yield where outputs go that one product yields: layers that follow each other in memory as they do in order."""
    ends = list(itertools.accumulate(linear.out_features for linear in linears))
    for places, weight_OI in runs([linear.weight.detach() for linear in linears]):
        in_order = places == list(range(places[0], places[0] + len(places)))
        weights = [weight_OI] if in_order else [linears[place].weight.detach() for place in places]
        for members, weight in zip([places] if in_order else [[place] for place in places], weights, strict=True):
            biases = [linears[place].bias for place in members]
            bias_O = None if biases[0] is None else torch.cat([bias.detach() for bias in biases])
            last = ends[members[-1]]
            yield slice(last - len(weight), last), weight, bias_O


def _bias(linear: nn.Linear) -> Tensor | None:
    return None if linear.bias is None else linear.bias.detach()
