"""What a job is and which moves it may make: the table every process agrees on.

A job is one execution. Its state changes only along MOVES; nothing leaves a terminal state,
and a retry is a new job. The registry applies a move as a compare-and-swap on the job's row.
"""

from enum import StrEnum
from typing import Final

from core.domain.errors import IllegalMoveError


class JobKind(StrEnum):
    """What a job executes: a task, or work on the registry's artefacts without one."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    REBUILD = "rebuild"
    EXPORT = "export"
    INSPECT = "inspect"


class JobState(StrEnum):
    """Every state that any call can return."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Where a running job stands."""

    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    PUBLISHING = "publishing"


MOVES: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {
            JobState.QUEUED,
            JobState.PAUSED,
            JobState.SUCCEEDED,
            JobState.REJECTED,
            JobState.FAILED,
            JobState.CANCELLED,
        },
    ),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.REJECTED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

TERMINAL: Final = frozenset(state for state, targets in MOVES.items() if not targets)
# A job in one of these states stands in its model's line. A paused one keeps its place, so nothing behind it starts.
IN_LINE: Final = frozenset({JobState.QUEUED, JobState.PAUSED})
OPEN: Final = frozenset(MOVES) - TERMINAL


def advance(state: JobState, *, to: JobState) -> JobState:
    """Return ``to`` if the move is legal.

    Raises:
        IllegalMoveError: the table MOVES does not hold this move.
    """
    if to not in MOVES[state]:
        raise IllegalMoveError(subject="job", state=state, to=to)
    return to
