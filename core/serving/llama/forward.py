"""One step of a Llama network over tokens of many texts at once: some read a part of a prompt, some one token more.

Written from the network's definition (Touvron et al. 2023, arXiv 2302.13971, section 2.2; grouped queries: Ainslie et
al. 2023, arXiv 2305.13245), in the order of operations of transformers' own, so that the logits are the same. All
tokens of a step go through the matrix products together, whichever texts they belong to; each text attends to itself
only, over its own slot: there is no padding, and no text's numbers depend on how long the others are.

Shape legend: T tokens of the step, N texts whose next token is asked for, H heads, G heads of keys and values, D head
size, C tokens of one text in the step, Q its queries that share keys, L tokens of the text so far, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.serving.llama.architecture import LlamaShape
from core.serving.llama.key_values import KeyValues, Slot
from core.serving.llama.lone import LoneText
from core.serving.llama.products import laid_by_outputs, product
from core.serving.llama.weights import Layer, LlamaWeights


@dataclass(frozen=True, slots=True)
class Part:
    """What a step reads of one text: ``tokens``, which follow the ``read`` ones that its slot holds already."""

    slot: Slot
    read: int
    tokens: Sequence[int]
    wants_next: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part lies: in the step's tokens, and in the room of keys and values."""

    first: int
    many: int
    start: int
    length: int
    mask_QL: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One step's inputs, the same for all layers."""

    tokens_T: Tensor
    cosines_T: Tensor
    sines_T: Tensor
    written_T: Tensor
    places: list[_Place]
    # What the tokens see, written anew by every layer.
    seen_TGQD: Tensor


class LlamaDecoder:
    """A version that takes steps."""

    def __init__(self, shape: LlamaShape, weights: LlamaWeights, room: KeyValues) -> None:
        self.shape = shape
        self.room = room
        self._weights = weights
        self._lone = LoneText.of(shape, weights, room)

    def step(self, parts: Sequence[Part]) -> Tensor:
        """Read the parts; return the logits ``[N, V]`` of those that want their next token, in their order."""
        if self._lone is not None and len(parts) == 1 and len(parts[0].tokens) == 1 and parts[0].wants_next:
            return self._lone.step(parts[0].slot, parts[0].read, parts[0].tokens[0])
        run = self._run(parts)
        x_T = laid_by_outputs(functional.embedding(run.tokens_T, self._weights.embedding))
        for number, layer in enumerate(self._weights.layers):
            x_T = self._through(layer, number, x_T, run)
        last = [place.first + place.many - 1 for place, part in zip(run.places, parts, strict=True) if part.wants_next]
        x_N = self._normed(x_T[torch.tensor(last, dtype=torch.long, device=x_T.device)], self._weights.norm)
        return product(x_N, self._weights.head).contiguous()

    def _run(self, parts: Sequence[Part]) -> _Run:
        shape, device = self.shape, self.shape.device
        tokens = [token for part in parts for token in part.tokens]
        positions = [position for part in parts for position in range(part.read, part.read + len(part.tokens))]
        written = [part.slot.start + part.read + ahead for part in parts for ahead in range(len(part.tokens))]
        tokens_T, positions_T, written_T = torch.tensor([tokens, positions, written], device=device)
        return _Run(
            tokens_T=tokens_T,
            cosines_T=self._weights.cosines[positions_T],
            sines_T=self._weights.sines[positions_T],
            written_T=written_T,
            places=self._places(parts),
            seen_TGQD=torch.empty(
                (len(tokens), shape.kv_heads, shape.heads // shape.kv_heads, shape.head_size),
                dtype=shape.dtype,
                device=shape.device,
            ),
        )

    def _through(self, layer: Layer, number: int, x_T: Tensor, run: _Run) -> Tensor:
        x_T = x_T + product(self._attention(layer, number, x_T, run), layer.attention_out, layer.attention_out_bias)
        gate_T, up_T = layer.gate_up(self._normed(x_T, layer.feed_norm))
        return x_T + product(functional.silu(gate_T).mul_(up_T), layer.feed_out, layer.feed_out_bias)

    def _attention(self, layer: Layer, number: int, x_T: Tensor, run: _Run) -> Tensor:
        """Write the tokens' keys and values; return what each token sees ``[T, H x D]``."""
        queries_T, keys_T, values_T = layer.queries_keys_values(self._normed(x_T, layer.attention_norm))
        size = self.shape.head_size
        queries_THD = rotated(queries_T.unflatten(-1, (-1, size)), run.cosines_T, run.sines_T).contiguous()
        keys_TGD = rotated(keys_T.unflatten(-1, (-1, size)), run.cosines_T, run.sines_T)
        values_TGD = values_T.unflatten(-1, (-1, size))
        keys_GLD, values_GLD = self.room.keys[number], self.room.values[number]
        keys_GLD.index_copy_(1, run.written_T, keys_TGD.transpose(0, 1))
        values_GLD.index_copy_(1, run.written_T, values_TGD.transpose(0, 1))
        # Queries that share keys stand as more queries of one head.
        queries_TGQD = queries_THD.unflatten(1, (self.shape.kv_heads, -1)).mul_(size**-0.5)
        for place in run.places:
            keys = keys_GLD.narrow(1, place.start, place.length)
            values = values_GLD.narrow(1, place.start, place.length)
            if place.many == 1:
                # Three small products: what fused attention saves on them is less than it takes to set up.
                scores_GQL = torch.bmm(queries_TGQD[place.first], keys.transpose(1, 2))
                shares_GQL = torch.softmax(scores_GQL, -1, dtype=torch.float32).to(scores_GQL.dtype)
                torch.bmm(shares_GQL, values, out=run.seen_TGQD[place.first])
            else:
                run.seen_TGQD.narrow(0, place.first, place.many).copy_(self._seen(queries_TGQD, keys, values, place))
        return run.seen_TGQD.flatten(1)

    def _seen(self, queries_TGQD: Tensor, keys_GLD: Tensor, values_GLD: Tensor, place: _Place) -> Tensor:
        """Return what several tokens of one text see, each up to itself ``[C, G, Q, D]``."""
        shape = self.shape
        queries_GQCD = queries_TGQD.narrow(0, place.first, place.many).permute(1, 2, 0, 3)
        seen = functional.scaled_dot_product_attention(
            queries_GQCD.reshape(1, shape.kv_heads, -1, shape.head_size),
            keys_GLD[None],
            values_GLD[None],
            attn_mask=place.mask_QL,
            scale=1.0,
        )
        return seen.view(shape.kv_heads, -1, place.many, shape.head_size).permute(2, 0, 1, 3)

    def _places(self, parts: Sequence[Part]) -> list[_Place]:
        places, first = [], 0
        for part in parts:
            many = len(part.tokens)
            mask = self._mask(part.read, many) if many > 1 else None
            places.append(_Place(first, many, part.slot.start, part.read + many, mask))
            first += many
        return places

    def _mask(self, read: int, many: int) -> Tensor:
        """Return what is added to the scores of each token's queries: nothing up to itself, and minus infinity behind."""
        shape = self.shape
        hidden = torch.full((many, read + many), float("-inf"), dtype=shape.dtype, device=shape.device)
        return hidden.triu_(read + 1).repeat(shape.heads // shape.kv_heads, 1)

    def _normed(self, x_T: Tensor, weight: Tensor) -> Tensor:
        """Return RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467, equation 4), computed in float32."""
        wide = x_T.float()
        scale = wide.square().mean(-1, keepdim=True).add_(self.shape.norm_epsilon).rsqrt_()
        return (wide * scale).to(x_T.dtype).mul_(weight)


def rotated(x_THD: Tensor, cosines_T: Tensor, sines_T: Tensor) -> Tensor:
    """Return rotary position embedding (Su et al. 2021, arXiv 2104.09864, equation 34), halves paired as in Llama.

    ``sines_T`` has its first half negated: each half is multiplied by the cosines, and gains the other times the sines.
    """
    half = x_THD.shape[-1] // 2
    turned_THD = x_THD * cosines_T
    turned_THD[..., :half].addcmul_(x_THD[..., half:], sines_T[..., :half])
    turned_THD[..., half:].addcmul_(x_THD[..., :half], sines_T[..., half:])
    return turned_THD
