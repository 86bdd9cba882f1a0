"""What all faults share: the site, the seeded generator, what was done so far, and what must be healed when."""

import heapq
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.journal import Journal
from tests.chaos.site import Site

# Does one harm and says to whom; None if there was nobody to harm.
Fault = Callable[[], str | None]
Table = dict[str, tuple[float, Fault]]


@dataclass(slots=True)
class Schedule:
    """What shall happen later."""

    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._count, action))

    def run_due(self) -> None:
        """Do what is due by now."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def drain(self) -> None:
        """Do everything, each thing in its time."""
        while self._due:
            time.sleep(max(0.0, self._due[0][0] - time.monotonic()))
            self.run_due()


@dataclass(slots=True)
class Scene:
    """One run as its nemesis sees it.

    Attributes:
        breaks: what should have died and did not.
    """

    site: Site
    journal: Journal
    random: random.Random
    schedule: Schedule = field(default_factory=Schedule)
    counts: Counter[str] = field(default_factory=Counter)
    breaks: list[str] = field(default_factory=list)

    def note(self, name: str, detail: str) -> None:
        """Count a fault that happened."""
        self.counts[name] += 1
        self.journal.fault(name, detail=detail)


def say(text: str) -> None:
    """Tell the reader of the run how it goes."""
    sys.stderr.write(f"chaos | {text}\n")
    sys.stderr.flush()
