"""The states of a version, and which moves between them are legal."""

from enum import StrEnum
from typing import Final

from core.domain.errors import IllegalMoveError


class VersionState(StrEnum):
    """`ready` serves; `rejected` failed its gate; `corrupt` failed verification; `deleted` is gone."""

    READY = "ready"
    REJECTED = "rejected"
    CORRUPT = "corrupt"
    DELETED = "deleted"


MOVES: Final[dict[VersionState, frozenset[VersionState]]] = {
    VersionState.READY: frozenset({VersionState.CORRUPT, VersionState.DELETED}),
    VersionState.REJECTED: frozenset({VersionState.DELETED}),
    VersionState.CORRUPT: frozenset({VersionState.READY, VersionState.DELETED}),
    VersionState.DELETED: frozenset(),
}


def advance(state: VersionState, *, to: VersionState) -> VersionState:
    """Return ``to`` if the move is legal.

    Raises:
        IllegalMoveError: the table MOVES does not hold this move.
    """
    if to not in MOVES[state]:
        raise IllegalMoveError(subject="version", state=state, to=to)
    return to
