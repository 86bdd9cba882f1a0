"""What is asked and what is to be answered, in tokens; and which of it is run together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from core.domain.base_facts import Family
from core.learning.batching import BATCH_TARGETS, BATCH_TOKENS, Pace, cheapest_runs
from core.learning.conversations import ChatEncoder, Conversation
from core.learning.rows import Row
from core.weights.chat import turn_end
from core.weights.tokens import encode_prompt, encode_target, end_token_ids

# How far an answer may run on behind its target, in tokens: enough to see that it does.
_RUN_ON: Final = 16


@dataclass(frozen=True, slots=True)
class Exchange:
    """One row in tokens.

    Attributes:
        target: with the tokens that end it, unless it was cut.
        ends: tokens that end an answer.
        limit: of how many tokens an answer is read, 1 or more; what a model says behind them is not.
    """

    prompt: list[int]
    target: list[int]
    ends: frozenset[int]
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeEncoder:
    """Encodes rows as they were learned."""

    model: Any
    tokenizer: Any
    family: Family
    max_source_tokens: int
    max_target_tokens: int

    def exchanges(self, rows: Sequence[Row | Conversation]) -> list[Exchange]:
        """Return each row in tokens, cut to the limits."""
        ends = end_token_ids(self.model, self.tokenizer)
        return [self._exchange(row, ends) for row in rows]

    def expected(self, row: Row | Conversation) -> str:
        """Return what the answer must say: of a conversation, what the chat template makes of its last turn."""
        if isinstance(row, Row):
            return row.target
        return str(self.tokenizer.decode(self._chat.last_exchange(row.turns)[1], skip_special_tokens=True))

    def prompt(self, row: Row) -> list[int]:
        """Return a row's prompt, cut to its limit."""
        return encode_prompt(self.tokenizer, row.prompt, self.family, max_tokens=self.max_source_tokens, cut=row.cut)

    def _exchange(self, row: Row | Conversation, ends: frozenset[int]) -> Exchange:
        if isinstance(row, Conversation):
            prompt, target = self._chat.last_exchange(row.turns)
            end = turn_end(self.tokenizer, target)
            ends |= frozenset() if end is None else {end}
        else:
            prompt = self.prompt(row)
            target = encode_target(self.tokenizer, row.target, max_tokens=self.max_target_tokens)
        # The last token of an answer is never read again: a position more than the limits is not used.
        room = self.max_source_tokens + self.max_target_tokens - len(prompt) + 1
        return Exchange(prompt, target, ends, max(len(target), min(len(target) + _RUN_ON, room)))

    @property
    def _chat(self) -> ChatEncoder:
        return ChatEncoder(self.tokenizer, self.family, self.max_source_tokens, self.max_target_tokens)


def forced_batches(exchanges: Sequence[Exchange], batch_size: int, *, begun: int, pace: Pace) -> Iterator[list[int]]:
    """Yield the numbers of exchanges whose prompts and targets are run together, by their length.

    Args:
        exchanges: any.
        batch_size: how many go together at most.
        begun: tokens of each prompt that were run before.
        pace: of the device; filling costs as much as tokens do.
    """
    order = sorted(range(len(exchanges)), key=lambda n: len(exchanges[n].prompt) + len(exchanges[n].target))
    lengths = [len(exchanges[n].prompt) + len(exchanges[n].target) for n in order]
    targets = list(accumulate((len(exchanges[n].target) for n in order), initial=0))

    def cost(first: int, behind: int) -> float | None:
        rows, longest = behind - first, lengths[behind - 1]
        run = rows * (longest - begun)
        small = rows * longest <= BATCH_TOKENS and targets[behind] - targets[first] <= BATCH_TARGETS
        return run + pace.pass_tokens if rows <= batch_size and small and run <= pace.most_tokens else None

    for run in cheapest_runs(len(order), cost):
        yield [order[place] for place in run]


def decoded_batches(exchanges: Sequence[Exchange], batch_size: int, *, room: int) -> Iterator[list[int]]:
    """Yield the numbers of exchanges that are answered together, by the length of their prompts.

    All of a batch end by the same tokens, and its longest prompt and answer fit ``room`` together.
    """
    order = sorted(range(len(exchanges)), key=lambda n: (sorted(exchanges[n].ends), len(exchanges[n].prompt)))
    batch: list[int] = []
    for number in order:
        longest = max(exchanges[other].limit for other in (*batch, number))
        positions = len(exchanges[number].prompt) + longest - 1
        full = len(batch) == batch_size or positions > room or (len(batch) + 1) * positions > BATCH_TOKENS
        if batch and (full or exchanges[batch[0]].ends != exchanges[number].ends):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
