"""Answers of one version that join and leave between steps.

Each step gives every answer under way one token, and reads a bounded part of the prompts of those that have joined
(chunked prefill: Agrawal et al. 2023, arXiv 2308.16369), in the order in which they joined: `READ_BESIDE` prompt tokens
while others are being answered, so that a long prompt holds up nobody for long, `READ_ALONE` while none is.
"""

import itertools
from collections.abc import Sequence as List
from dataclasses import dataclass, field
from typing import Final

from core.serving.llama.base import MAX_TEXTS
from core.serving.llama.forward import LlamaDecoder, Part
from core.serving.llama.key_values import Resting, Slot
from core.serving.sequence import Sequence

READ_BESIDE: Final = 64
READ_ALONE: Final = 512
# A beginning that is shorter is read again: finding and copying it would cost about as much.
_SHORTEST_SHARED: Final = 16


@dataclass(slots=True, eq=False)
class _Text:
    """One answer under way: ``tokens`` of prompt and answer, the first ``read`` of which its slot holds."""

    sequence: Sequence
    slot: Slot
    tokens: list[int]
    read: int = 0
    # Whose beginning it will copy once that is read, and how long it is.
    leader: "_Text | None" = field(default=None, repr=False)
    shared: int = 0

    @property
    def is_answered(self) -> bool:
        """Say whether its prompt is read, so that every step adds a token."""
        return len(self.tokens) - self.read == 1 and self.read >= len(self.sequence.prompt) - 1


class ContinuousBatch:
    """The texts of one version, over slots of its base's room."""

    def __init__(self, version_id: str, decoder: LlamaDecoder) -> None:
        self._version_id = version_id
        self._decoder = decoder
        self._room = decoder.room
        self._texts: list[_Text] = []

    @property
    def sequences(self) -> list[Sequence]:
        """Those that are being answered."""
        return [text.sequence for text in self._texts]

    @property
    def is_full(self) -> bool:
        """Say whether nobody can join until somebody leaves, whatever room there is."""
        return len(self._texts) >= MAX_TEXTS

    def join(self, sequence: Sequence) -> bool:
        """Take a sequence in, if there is a place and room for all of its tokens."""
        if self.is_full:
            return False
        slot = self._room.take(sequence.most_tokens)
        if slot is None:
            return False
        text = _Text(sequence, slot, list(sequence.prompt))
        self._begin_like_others(text, self._texts)
        self._texts.append(text)
        return True

    def step(self) -> None:
        """Take a step, and let those leave that are answered or no longer wanted."""
        self._leave()
        parts = [(text, count) for text, count in self._plan() if count]
        if not parts:
            return
        logits_NV = self._decoder.step(
            [
                Part(
                    text.slot,
                    text.read,
                    text.tokens[text.read : text.read + count],
                    text.read + count == len(text.tokens),
                )
                for text, count in parts
            ]
        )
        following = iter(logits_NV)
        for text, count in parts:
            text.read += count
            if text.read == len(text.tokens):
                text.tokens.append(text.sequence.advance(next(following)))
        self._leave()

    def clear(self) -> None:
        """Let all leave, whatever became of them."""
        for text in self._texts:
            self._room.rest(text.slot, self._version_id, ())
        self._texts = []

    def _plan(self) -> list[tuple[_Text, int]]:
        """Return how many tokens each text reads in this step."""
        answered = [text for text in self._texts if text.is_answered]
        left = READ_BESIDE if answered else READ_ALONE
        planned = [(text, 1) for text in answered]
        for text in self._texts:
            if text.is_answered or self._waits(text):
                continue
            count = min(left, len(text.tokens) - text.read)
            left -= count
            planned.append((text, count))
        return planned

    def _waits(self, text: _Text) -> bool:
        """Say whether another text is about to read what this one shares with it."""
        if text.leader is None:
            return False
        if text.leader in self._texts and text.leader.read < text.shared:
            return True
        # It is read, or whoever was to read it has left. Only those who came before are asked: no two wait for each other.
        self._begin_like_others(text, self._texts[: self._texts.index(text)])
        return text.leader is not None

    def _leave(self) -> None:
        staying = []
        for text in self._texts:
            if text.sequence.is_over:
                self._room.rest(text.slot, self._version_id, text.tokens[: text.read])
            else:
                staying.append(text)
        self._texts = staying

    def _begin_like_others(self, text: _Text, others: List[_Text]) -> None:
        """Copy the longest beginning that another text has read, or wait for the one who is about to read it."""
        text.leader = None
        best: _Text | Resting | None = None
        longest = max(_SHORTEST_SHARED - 1, text.read)
        known: list[_Text | Resting] = [*others, *self._room.resting(self._version_id)]
        for other in known:
            tokens = other.tokens if isinstance(other, _Text) else other.read
            # The prompt's last token is read in any case: the answer's first one follows from it.
            common = _common(text.sequence.prompt, tokens, limit=len(text.sequence.prompt) - 1)
            if common > longest:
                best, longest = other, common
        if isinstance(best, _Text) and best.read < longest:
            text.leader, text.shared = best, longest
        elif best is not None:
            self._room.copy(best.slot, text.slot, longest)
            text.read = longest


def _common(one: List[int], other: List[int], *, limit: int) -> int:
    pairs = itertools.islice(zip(one, other, strict=False), limit)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(limit, len(one), len(other)))
