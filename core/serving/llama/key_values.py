"""Keys and values of the tokens that were read: one preallocated tensor of a base model, in which answers have slots.

A slot is a run of tokens, taken when an answer begins, for as many tokens as prompt and answer may have, and given back
when it ends; nothing is copied while it grows. What was read of a slot that was given back stays until its room is
needed: the next prompt that begins alike starts from there.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from core.serving.llama.architecture import LlamaShape

# Slots that rest hold at most this share of the room.
_RESTING_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A run of ``tokens`` places from ``start`` on."""

    start: int
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Resting:
    """A slot that nobody answers from, and the tokens whose keys and values it still holds."""

    slot: Slot
    version_id: str
    read: Sequence[int]


class KeyValues:
    """The room of one base model. Used by the decoding thread only.

    Args:
        shape: of the network.
        tokens: how many tokens there is room for.
    """

    def __init__(self, shape: LlamaShape, tokens: int) -> None:
        self.tokens = tokens
        self._room = torch.empty(
            (shape.layers, 2, shape.kv_heads, tokens, shape.head_size), dtype=shape.dtype, device=shape.device
        )
        self.keys: list[Tensor] = [layer[0] for layer in self._room]
        self.values: list[Tensor] = [layer[1] for layer in self._room]
        # Gaps between slots, by start; no two of them touch.
        self._gaps: dict[int, int] = {0: tokens}
        self._resting: OrderedDict[int, Resting] = OrderedDict()

    def of_text(self, slot: Slot, tokens: int) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """Return by layer a text's ``tokens`` keys ``[G, D, L]``, its values ``[G, L, D]``, and the last one's place.

        The place is of its key and its value, ``[2, G, D]``.
        """
        text = self._room.narrow(3, slot.start, tokens)
        return text[:, 0].transpose(2, 3).unbind(), text[:, 1].unbind(), text[:, :, :, -1].unbind()

    def take(self, tokens: int) -> Slot | None:
        """Return a slot of so many tokens, at the cost of slots that rest; None while there is no room."""
        while (start := self._gap_for(tokens)) is None:
            if not self._resting:
                return None
            self._give_back(self._resting.popitem(last=False)[1].slot)
        length = self._gaps.pop(start)
        if length > tokens:
            self._gaps[start + tokens] = length - tokens
        return Slot(start, tokens)

    def rest(self, slot: Slot, version_id: str, read: Sequence[int]) -> None:
        """Give back a slot; what was ``read`` there stays for prompts of the version that begin alike, while it can."""
        self._give_back(Slot(slot.start + len(read), slot.tokens - len(read)))
        if read:
            self._resting[slot.start] = Resting(Slot(slot.start, len(read)), version_id, tuple(read))
        while sum(each.slot.tokens for each in self._resting.values()) > self.tokens * _RESTING_SHARE:
            self._give_back(self._resting.popitem(last=False)[1].slot)

    def resting(self, version_id: str) -> list[Resting]:
        """Return the slots of a version that rest."""
        return [each for each in self._resting.values() if each.version_id == version_id]

    def copy(self, source: Slot, target: Slot, tokens: int) -> None:
        """Copy the first ``tokens`` tokens' keys and values."""
        if source.start in self._resting:
            self._resting.move_to_end(source.start)
        self._room.narrow(3, target.start, tokens).copy_(self._room.narrow(3, source.start, tokens))

    def used_tokens(self) -> int:
        """Return how many tokens the slots of answers under way take."""
        resting = sum(each.slot.tokens for each in self._resting.values())
        return self.tokens - sum(self._gaps.values()) - resting

    def _gap_for(self, tokens: int) -> int | None:
        return next((start for start, length in sorted(self._gaps.items()) if length >= tokens), None)

    def _give_back(self, slot: Slot) -> None:
        if not slot.tokens:
            return
        start, length = slot.start, slot.tokens
        length += self._gaps.pop(start + length, 0)
        before = next((at for at, size in self._gaps.items() if at + size == start), None)
        if before is not None:
            length += self._gaps.pop(before)
            start = before
        self._gaps[start] = length
