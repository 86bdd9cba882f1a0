"""What sequences begin alike with, as a tree of the beginnings that are worth running once for all who have them. No torch.

The rows of a classification task begin with its question and options, and some go on with the same text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

Tokens = list[int]

# How often a beginning may go on in longer ones: all of a path are held at once.
_LEVELS: Final = 4


@dataclass(frozen=True, slots=True)
class Branch:
    """A beginning.

    Attributes:
        tokens: behind the beginning that it grows on.
        alone: numbers of the sequences that share no longer one.
        branches: longer beginnings.
    """

    tokens: Tokens
    alone: list[int]
    branches: list["Branch"]


def branched(sequences: Sequence[Tokens], *, worth: int) -> Branch:
    """Return the tree of what ``sequences`` begin alike with; the root has no tokens where that is not worth it.

    Args:
        sequences: in tokens.
        worth: tokens that a beginning must save, over all sequences that share it.
    """
    order = sorted(range(len(sequences)), key=lambda n: sequences[n])
    end = _alike(sequences, order) if order else 0
    return _Grower(sequences, worth).branch(order, 0, end if end * (len(order) - 1) >= worth else 0)


@dataclass(frozen=True, slots=True)
class _Grower:
    sequences: Sequence[Tokens]
    worth: int

    def branch(self, members: list[int], start: int, end: int, levels: int = _LEVELS) -> Branch:
        """Return the branch of ``members``, which are sorted and share their tokens up to ``end``."""
        alone: list[int] = []
        branches = []
        pending = [(members, end)]
        while pending:
            group, place = pending.pop()
            for part in self._parted(group, place):
                alike = _alike(self.sequences, part)
                if not levels or alike == place:
                    alone += part
                elif (alike - end) * (len(part) - 1) >= self.worth:
                    branches.append(self.branch(part, end, alike, levels - 1))
                elif len(part) > 1:
                    # Too little for all of them; some may share more.
                    pending.append((part, alike))
                else:
                    alone += part
        return Branch(self.sequences[members[0]][start:end] if members else [], alone, branches)

    def _parted(self, group: list[int], place: int) -> Iterator[list[int]]:
        """Yield the members of a group by what stands at ``place``; the sequences that end there are one part."""
        for _, part in groupby(group, key=lambda n: self.sequences[n][place : place + 1]):
            yield list(part)


def _alike(sequences: Sequence[Tokens], members: Sequence[int]) -> int:
    """Return how many tokens all of ``members``, which are sorted, begin alike with: the first and the last do."""
    first, last = sequences[members[0]], sequences[members[-1]]
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(last)))
