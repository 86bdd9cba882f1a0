"""How much is run together when rows are scored, and which of it. No torch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

# Positions of one batch, filling included: bounds its keys, values and activations.
BATCH_TOKENS: Final = 4_096
# Target tokens of one batch: bounds its logits, which are as many as the vocabulary for each.
BATCH_TARGETS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Pace:
    """How a device is kept busy.

    Attributes:
        pass_tokens: what a pass costs beside its tokens, in tokens.
        most_tokens: positions that one pass runs well, filling included.
    """

    pass_tokens: int
    most_tokens: int


# Measured with SmolLM2-135M on two cores: more at once than fits their caches costs a sixth more for each token.
_PROCESSOR: Final = Pace(pass_tokens=48, most_tokens=512)
# A graphics card is busy with many tokens only.
_CARD: Final = Pace(pass_tokens=1_024, most_tokens=BATCH_TOKENS)


def pace_of(device_type: str) -> Pace:
    """Return the pace of a type of device, as torch names it."""
    return _PROCESSOR if device_type == "cpu" else _CARD


def cheapest_runs(count: int, cost: Callable[[int, int], float | None]) -> Iterator[range]:
    """Yield ``0 .. count - 1`` as runs of neighbours whose costs are least in all.

    Args:
        count: of items, in an order in which neighbours go well together.
        cost: of a run, by its first item and the one behind its last; None where it is too large, and then so is every
            longer one. A single item always goes.
    """
    least = [0.0, *[inf] * count]
    first_of = [0] * (count + 1)
    for first in range(count):
        for behind in range(first + 1, count + 1):
            own = cost(first, behind)
            if own is None and behind > first + 1:
                break
            if (total := least[first] + (own or 0.0)) < least[behind]:
                least[behind], first_of[behind] = total, first
    places = [count]
    while places[-1]:
        places.append(first_of[places[-1]])
    yield from (range(first, behind) for first, behind in pairwise(reversed(places)))
