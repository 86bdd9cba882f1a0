"""The held-out part of a file: one row in ten by the row's own hash, so that it never changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.domain.errors import InvalidError, Place

HELD_OUT_ONE_IN: Final = 10
_MAX_PLACES: Final = 20


class Side(StrEnum):
    """Which rows of a file are meant."""

    TRAIN = "train"
    EVALUATION = "evaluation"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Split:
    """Tells for each row digest on which side it lies; repeated rows always lie on one side together.

    Attributes:
        held_out: digests that are held out although their hash does not say so.
        kept: digests that are trained on although their hash says otherwise.
    """

    held_out: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()

    def holds(self, side: Side, digest: int) -> bool:
        """Return whether the row of ``digest`` belongs to ``side``."""
        if side is Side.ALL:
            return True
        evaluation = digest in self.held_out or (digest % HELD_OUT_ONE_IN == 0 and digest not in self.kept)
        if digest in self.held_out & self.kept:
            return True
        return evaluation is (side is Side.EVALUATION)


def split(digests: Iterable[int]) -> Split:
    """Return the split of the file whose rows have these digests: at least one row on each side.

    Where the hashes leave a side empty, the smallest digest is moved to it. A file that says one row over and over
    has that row on both sides.
    """
    distinct = set(digests)
    if len(distinct) == 1:
        return Split(held_out=frozenset(distinct), kept=frozenset(distinct))
    held_out = {digest for digest in distinct if digest % HELD_OUT_ONE_IN == 0}
    if not held_out:
        return Split(held_out=frozenset([min(distinct)]))
    if len(held_out) == len(distinct):
        return Split(kept=frozenset([min(distinct)]))
    return Split()


def refuse_leak(train: Iterable[int], evaluation: Iterable[int], *, part: str) -> None:
    """Check that no evaluation row is also trained on.

    Args:
        train: digests of the training rows.
        evaluation: digests of the evaluation rows, in the file's order.
        part: the request's part that named the evaluation rows.

    Raises:
        InvalidError: some are; the places name the first of them by row, counted from 1.
    """
    trained = set(train)
    repeated = [n for n, digest in enumerate(evaluation, start=1) if digest in trained]
    if not repeated:
        return
    hint = "scores on rows that were trained on say nothing"
    places = [
        Place(loc=(part,), message=f"row {n} is also among the training rows", hint=hint)
        for n in repeated[:_MAX_PLACES]
    ]
    raise InvalidError(f"{len(repeated)} evaluation rows are also training rows", code="leak", places=places)
