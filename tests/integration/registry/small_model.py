"""What the registry must answer, in a few dictionaries: the model beside which the real services are run."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LEASE_SECONDS = 60
BARREN_LIMIT = 3
OPEN = frozenset({"queued", "running", "paused"})


@dataclass
class Job:
    """One job as its users and holders should see it. Leases are seconds that are left."""

    id: str
    line: str
    expected: int | None
    state: str = "queued"
    fence: int | None = None
    claims: int = 0
    barren: int = 0
    reached: int | None = None
    parent: int | None = None
    lease: float = 0.0
    cancel: bool = False
    pause: bool = False
    past_fences: list[int] = field(default_factory=list)

    def facts(self) -> tuple[object, ...]:
        held = self.fence if self.state == "running" else None
        return (self.state, held, self.claims, self.barren, self.reached, self.cancel, self.pause)


@dataclass
class Line:
    """A model: its versions (number to parent; None for the base), and what its aliases name."""

    fence: int = 0
    parents: dict[int, int | None] = field(default_factory=lambda: {0: None})
    deleted: set[int] = field(default_factory=set)
    aliases: dict[str, int] = field(default_factory=lambda: {"latest": 0, "stable": 0})

    def chain(self, number: int) -> Iterator[int]:
        here: int | None = number
        while here is not None:
            yield here
            here = self.parents[here]


class SmallModel:
    """All jobs in the order of their submission, and all lines."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.lines = {name: Line() for name in names}
        self.jobs: list[Job] = []
        self.keys: dict[str, tuple[str, str]] = {}

    def those(self, *states: str) -> list[Job]:
        return [job for job in self.jobs if job.state in states]

    def claim(self) -> Job | None:
        """Start the oldest job that heads a line of which none runs; pinned ones whose head has moved fail on the way."""
        while job := self._next():
            line = self.lines[job.line]
            line.fence += 1
            if job.expected is None or job.expected == line.aliases["latest"]:
                return self._start(job, line)
            job.state = "failed"
        return None

    def _next(self) -> Job | None:
        for job in self.those("queued"):
            earlier = [other for other in self.jobs[: self.jobs.index(job)] if other.line == job.line]
            if all(other.state not in OPEN for other in earlier) and not self._runs(job.line):
                return job
        return None

    def _runs(self, line: str) -> bool:
        return any(job.line == line for job in self.those("running"))

    def _start(self, job: Job, line: Line) -> Job:
        if job.fence is not None:
            job.past_fences.append(job.fence)
        if job.parent != line.aliases["latest"]:
            job.reached = None
        job.state, job.fence, job.parent = "running", line.fence, line.aliases["latest"]
        job.claims, job.lease = job.claims + 1, LEASE_SECONDS
        return job

    def let_go(self, job: Job, *, barren: bool) -> None:
        """Take a job from its holder."""
        job.barren += barren
        if job.cancel:
            job.state, job.barren = "cancelled", job.barren - barren
        elif barren and job.barren >= BARREN_LIMIT:
            job.state, job.barren = "failed", job.barren - 1
        else:
            job.state = "paused" if job.pause else "queued"
        job.pause = False

    def publish(self, job: Job) -> int:
        line = self.lines[job.line]
        number = len(line.parents)
        line.parents[number] = job.parent
        if line.aliases["latest"] == job.parent:
            line.aliases["latest"] = number
        job.state, job.pause = "succeeded", False
        return number

    def is_needed(self, line: str, number: int) -> bool:
        """Say whether a version may not be deleted."""
        held = self.lines[line]
        built = any(
            number in held.chain(other) for other in held.parents if other not in held.deleted and other != number
        )
        started = any(
            number in {job.parent, job.expected} for job in self.jobs if job.line == line and job.state in OPEN
        )
        return number == 0 or number in held.aliases.values() or built or started
