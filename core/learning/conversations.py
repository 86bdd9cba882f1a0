"""Conversations in tokens: every learned turn is labelled where the model's own chat template writes it."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.base_facts import Family
from core.learning.loss import IGNORED
from core.weights.chat import encode_answer

Labelled = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; ``learned`` says whether the model learns to write it."""

    role: str
    content: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row of messages, of which the last one is learned."""

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class ChatEncoder:
    """Encodes conversations within ``max_source_tokens + max_target_tokens``.

    A conversation that is longer loses its oldest turns, always up to a user's; a system message stays. Of a last
    exchange that is still too long the prompt loses its beginning and the answer its end: neither takes the room that
    is the other's own.
    """

    tokenizer: Any
    family: Family
    max_source_tokens: int
    max_target_tokens: int

    def rows(self, turns: Sequence[Turn]) -> list[Labelled]:
        """Return inputs and labels: one row, with labels on every learned turn, for a causal model.

        A turn that the template writes otherwise once others follow (thinking that is left out of the past, say) is a
        row of its own, as it is when the model is asked. So is every turn for a sequence-to-sequence model.

        Raises:
            InvalidError: the template refuses the messages; see `core.weights.chat.encode_answer`.
        """
        turns = self._latest(turns)
        *earlier, last = [self._answer(turns[: n + 1]) for n, turn in enumerate(turns) if turn.learned]
        if self.family == "seq2seq":
            return [self._cut(*answer) for answer in (*earlier, last)]
        ids, labels = self._labelled(*last)
        apart = []
        for prompt, target in earlier:
            start, end = len(prompt), _shared([*prompt, *target], ids)
            if end > start and not self._says(target[end - start :]):
                labels[start:end] = ids[start:end]
            else:
                apart.append(self._labelled(prompt, target))
        return [*apart, (ids, labels)]

    def last_exchange(self, turns: Sequence[Turn]) -> Labelled:
        """Return what is read before the last turn, and the last turn, as they were learned."""
        return self._cut(*self._answer(self._latest(turns)))

    def _latest(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Return as many of the latest turns as fit, or the fewest there can be."""
        system = [turn for turn in turns[:1] if turn.role == "system"]
        users = [n for n, turn in enumerate(turns) if turn.role == "user"]
        starts = [0, *users[1:]]

        def since(start: int) -> Sequence[Turn]:
            return [*system, *turns[start:]] if start else turns

        def fits(start: int) -> bool:
            prompt, target = self._answer(since(start))
            return len(prompt) + len(target) <= self._room

        first = bisect_left(starts, True, key=fits)
        return since(starts[min(first, len(starts) - 1)])

    def _answer(self, turns: Sequence[Turn]) -> Labelled:
        return encode_answer(self.tokenizer, [{"role": turn.role, "content": turn.content} for turn in turns])

    def _cut(self, prompt: list[int], target: list[int]) -> Labelled:
        if self.family == "seq2seq":
            return prompt[-self.max_source_tokens :], target[: self.max_target_tokens]
        target = target[: self._room - min(len(prompt), self.max_source_tokens)]
        return prompt[-(self._room - len(target)) :], target

    def _labelled(self, prompt: list[int], target: list[int]) -> Labelled:
        prompt, target = self._cut(prompt, target)
        return [*prompt, *target], [IGNORED] * len(prompt) + target

    def _says(self, ids: Sequence[int]) -> bool:
        return bool(self.tokenizer.decode(ids, skip_special_tokens=True).strip())

    @property
    def _room(self) -> int:
        return self.max_source_tokens + self.max_target_tokens


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(left), len(right)))
