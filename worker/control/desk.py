"""The registry as a worker sees it: the port through which claims are made, kept and settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.base_facts import BaseFacts
from core.domain.exports import ExportedFile, Parity
from core.domain.job_folder import Event, ScoreEvent
from core.domain.manifest import Manifest
from core.domain.records import Job
from core.services.claims import BeatAnswer
from core.services.export_plans import ExportPlan
from core.services.rebuild_plans import RebuildPlan
from core.services.trainer_specs import StagingPlan


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds.

    Attributes:
        fence: the claim's number; whoever writes with an older one is refused.
        seconds_left: until the job's own deadline, by the database's clock at the claim; None without one.
    """

    job: Job
    fence: int
    seconds_left: float | None


class Desk(Protocol):
    """Each verb is one transaction.

    Those that take a claim raise `LostLeaseError` once another worker holds the job; all raise `UnavailableError`
    while the registry is away.
    """

    def claim(self) -> Claim | None:
        """Take the next job that may run, or None."""

    def beat(self, claim: Claim) -> BeatAnswer:
        """Renew the lease; return what users ask of the job."""

    def record(self, claim: Claim, events: Sequence[Event]) -> None:
        """Note what the trainer reported."""

    def fail(self, claim: Claim, *, code: str, detail: str) -> None:
        """End the job as failed."""

    def confirm_cancelled(self, claim: Claim) -> None:
        """End the job as cancelled; its trainer is gone."""

    def confirm_paused(self, claim: Claim) -> None:
        """Pause the job; its trainer is gone."""

    def release(self, claim: Claim) -> None:
        """Put the job back to its place in the queue: the worker stops in good order."""

    def give_up(self, claim: Claim, *, reason: str) -> None:
        """Let go of the job: the attempt broke off, counts as barren, and the job is tried again, so many times."""

    def sweep(self) -> int:
        """Take jobs away from holders whose lease ran out; return how many."""

    def plan(self, claim: Claim) -> StagingPlan:
        """Return what a `train` job needs in its folder."""

    def rebuild_plan(self, claim: Claim) -> RebuildPlan:
        """Return what a `rebuild` job needs in its folder."""

    def export_plan(self, claim: Claim) -> ExportPlan:
        """Return what an `export` job needs in its folder."""

    def base_source(self, claim: Claim) -> tuple[str, str]:
        """Return name and source of the base model that an `inspect` job reads."""

    def publish(self, claim: Claim, *, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str) -> None:
        """Make the version of a finished `train` or `rebuild` job visible; ``artefact`` is where its folder already lies.

        Raises:
            ConflictError: cancelling was asked for first, or the parent is no longer ready.
        """

    def complete_export(
        self, claim: Claim, *, manifest_sha256: str, files: Sequence[ExportedFile], parity: Parity
    ) -> None:
        """Finish an `export` job, whose folder lies in the store already.

        Raises:
            ConflictError: cancelling was asked for first, or the version is no longer ready.
        """

    def record_facts(self, claim: Claim, *, facts: BaseFacts, path: str) -> None:
        """Finish an `inspect` job.

        Raises:
            ConflictError: cancelling was asked for first.
        """
