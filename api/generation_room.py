"""How many answers may be under way in this process: in all, and for each project."""

from collections import Counter
from typing import Final

from anyio import CapacityLimiter

from core.domain.access import Caller
from core.domain.errors import QuotaError, UnavailableError

# Each whole answer holds a thread while it is made, as does each stream while it waits for its next piece.
MAX_THREADS: Final = 64
# Of these, as many as have no thread yet wait for one.
MAX_OPEN: Final = 256
_RETRY_SECONDS: Final = 1


class GenerationRoom:
    """Counts answers from the moment they are asked for until nothing more follows. For the event loop's thread only.

    Args:
        most: under way in all.
        project_most: of one project whose quota says nothing.
    """

    def __init__(self, *, project_most: int, most: int = MAX_OPEN) -> None:
        self.limiter = CapacityLimiter(MAX_THREADS)
        self._most = most
        self._project_most = project_most
        self._open: Counter[str] = Counter()

    def enter(self, caller: Caller) -> None:
        """Count one more; whoever enters must `leave`.

        Raises:
            QuotaError: ``too_many_generations``: the project has as many under way as it may.
            UnavailableError: ``engine_busy``: all projects together have.
        """
        limit = self._project_most if caller.max_generations is None else caller.max_generations
        if self._open[caller.project_id] >= limit:
            raise QuotaError(
                f"the project has {limit} answers under way, which is its quota",
                code="too_many_generations",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if self._open.total() >= self._most:
            raise UnavailableError("too many requests are waiting", code="engine_busy")
        self._open[caller.project_id] += 1

    def leave(self, caller: Caller) -> None:
        """Count one less."""
        self._open[caller.project_id] -= 1
        if not self._open[caller.project_id]:
            del self._open[caller.project_id]

    def under_way(self, project_id: str) -> int:
        """Return how many answers a project has under way."""
        return self._open[project_id]
