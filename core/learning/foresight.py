"""How a greedy answer begins, without decoding it: its target is shown, and where the first guess differs is seen.

As long as every guess was the target's own token, greedy decoding would have written just that: one pass over prompt
and target says how the answer begins, up to and with the first token that is another one. Where the guess is a token
that ends answers, that is all of the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.base_facts import Family
from core.learning.beginnings import Beginning
from core.learning.exchanges import Exchange
from core.learning.loss import target_logits
from core.learning.rows import TokenRow, collate


@dataclass(frozen=True, slots=True)
class Foresight:
    """The tokens with which a greedy answer begins, and whether they are all of it."""

    tokens: list[int]
    whole: bool


def foresee(
    model: Any, exchanges: Sequence[Exchange], family: Family, *, pad: int, beginning: Beginning
) -> list[Foresight]:
    """Return how the model's greedy answers begin, of one batch.

    Args:
        model: in evaluation mode.
        exchanges: each with a prompt and a target of at least one token.
        family: of the model.
        pad: what inputs are filled up with.
        beginning: of every prompt, run before.
    """
    rows = [TokenRow.of(each.prompt, each.target, family) for each in exchanges]
    past = beginning.lent_to(len(rows))
    logits_KV, _ = target_logits(model, collate(rows, pad=pad).to(model.device), family, past=past)
    guesses = logits_KV.argmax(dim=-1).split([len(each.target) for each in exchanges])
    return [_beginning(each, guessed.tolist()) for each, guessed in zip(exchanges, guesses, strict=True)]


def _beginning(exchange: Exchange, guesses: Sequence[int]) -> Foresight:
    for place, (guess, token) in enumerate(zip(guesses, exchange.target, strict=True)):
        if guess != token or guess in exchange.ends:
            return Foresight([*exchange.target[:place], guess], whole=guess in exchange.ends)
    return Foresight(exchange.target, whole=False)
