"""One token more of one text, on a CPU: a lone caller's step, in as few operations as it can be written in.

Such a step reads every weight once and computes next to nothing; with a small model, setting up hundreds of operations
on a few hundred numbers takes a third of it. So here a layer takes eighteen operations in place of some sixty: norms are
one product and a number, residuals are added by the matrix products, queries, keys and values are rotated together, and
whatever is the same for all layers, or from step to step, is laid out before. The network is that of `forward`, and the
logits are the same but for rounding.

Shape legend: E features, H heads, G heads of keys and values, Q queries that share keys, D head size, M = H + 2 G rows
of queries, keys and values, F features between the feed-forward's products, L tokens of the text so far, V vocabulary.
"""

from typing import Any, Self

import torch
from torch import Tensor

from core.serving.llama.architecture import LlamaShape
from core.serving.llama.key_values import KeyValues, Slot
from core.serving.llama.weights import Layer, LlamaWeights


class LoneText:
    """A version's step for one token of one text. Used by the decoding thread only: its memory is used again."""

    def __init__(self, shape: LlamaShape, weights: LlamaWeights, room: KeyValues) -> None:
        self._shape = shape
        self._weights = weights
        self._room = room
        rows, size, half = shape.heads + 2 * shape.kv_heads, shape.head_size, shape.head_size // 2
        features, between = weights.embedding.shape[1], weights.layers[0].feed_out.shape[1]
        # Never inference tensors: those must not be written to outside of inference mode.
        with torch.inference_mode(mode=False):
            kind: dict[str, Any] = {"dtype": shape.dtype, "device": shape.device}
            self._x_E, self._normed_E = torch.empty(2, features, **kind)
            self._mixed_MD, self._turned_MD = torch.empty(2, rows, size, **kind)
            self._seen_GQD = torch.empty(shape.kv_heads, shape.heads // shape.kv_heads, size, **kind)
            self._gate_up = torch.empty(2, between, **kind)
            # Values are not rotated: theirs stay 1 and 0.
            self._cosines_MD, self._sines_MD = torch.ones(rows, size, **kind), torch.zeros(rows, size, **kind)
        self._queries_GQD = self._turned_MD[: shape.heads].view_as(self._seen_GQD)
        self._keys_values = self._turned_MD[shape.heads :].view(2, shape.kv_heads, size)
        self._halves = [
            (self._turned_MD[:, mine], self._mixed_MD[:, other], self._sines_MD[:, mine])
            for mine, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half)))
        ]

    @classmethod
    def of(cls, shape: LlamaShape, weights: LlamaWeights, room: KeyValues) -> Self | None:
        """Return the step of a version; None where there is nothing to gain: numbers read back hold up an accelerator."""
        suits = shape.device.type == "cpu" and shape.dtype == torch.float32
        return cls(shape, weights, room) if suits else None

    def step(self, slot: Slot, read: int, token: int) -> Tensor:
        """Read ``token`` after the ``read`` ones that the slot holds; return the logits ``[1, V]`` of the next."""
        weights = self._weights
        self._turn_to(read)
        keys_GDL, values_GLD, written = self._room.of_text(slot, read + 1)
        self._x_E.copy_(weights.embedding[token])
        for number, layer in enumerate(weights.layers):
            self._attend(layer, keys_GDL[number], values_GLD[number], written[number])
            self._feed(layer)
        scale = self._norm(weights.norm)
        return torch.mv(weights.head, self._normed_E.mul_(scale))[None]

    def _attend(self, layer: Layer, keys_GDL: Tensor, values_GLD: Tensor, written_2GD: Tensor) -> None:
        scale = self._norm(layer.attention_norm)
        layer.queries_keys_values.into(self._mixed_MD.view(-1), self._normed_E, scale)
        torch.mul(self._mixed_MD, self._cosines_MD, out=self._turned_MD)
        for turned, other, sines in self._halves:
            turned.addcmul_(other, sines)
        written_2GD.copy_(self._keys_values)
        shares_GQL = torch.bmm(self._queries_GQD, keys_GDL).softmax(-1)
        torch.bmm(shares_GQL, values_GLD, out=self._seen_GQD)
        self._x_E.addmv_(layer.attention_out, self._seen_GQD.view(-1))
        if layer.attention_out_bias is not None:
            self._x_E.add_(layer.attention_out_bias)

    def _feed(self, layer: Layer) -> None:
        scale = self._norm(layer.feed_norm)
        layer.gate_up.into(self._gate_up.view(-1), self._normed_E, scale)
        gate_F, up_F = self._gate_up
        self._x_E.addmv_(layer.feed_out, torch.nn.functional.silu(gate_F, inplace=True).mul_(up_F))
        if layer.feed_out_bias is not None:
            self._x_E.add_(layer.feed_out_bias)

    def _norm(self, weight_E: Tensor) -> float:
        """Lay out RMSNorm but for its scale, which is returned: the next product multiplies by it."""
        torch.mul(self._x_E, weight_E, out=self._normed_E)
        square = torch.dot(self._x_E, self._x_E).item()
        return float((square / len(self._x_E) + self._shape.norm_epsilon) ** -0.5)

    def _turn_to(self, position: int) -> None:
        """Set the rotation of a position; that of the queries holds the scale of their scores."""
        shape = self._shape
        keys_end = shape.heads + shape.kv_heads
        for rotation_MD, table in ((self._cosines_MD, self._weights.cosines), (self._sines_MD, self._weights.sines)):
            rotation_MD[:keys_end] = table[position]
            rotation_MD[: shape.heads].mul_(shape.head_size**-0.5)
