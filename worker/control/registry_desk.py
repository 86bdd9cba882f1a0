"""The desk over a real registry: every verb is one unit of work around one service call."""

from collections.abc import Sequence

from core.domain.base_facts import BaseFacts
from core.domain.exports import ExportedFile, Parity
from core.domain.job_folder import Event, ScoreEvent
from core.domain.manifest import Manifest
from core.registry.work import Registry
from core.services import (
    base_models,
    claims,
    export_plans,
    export_publication,
    idempotency,
    rebuild_plans,
    trainer_specs,
    versions,
)
from core.services.claims import BeatAnswer
from core.services.export_plans import ExportPlan
from core.services.rebuild_plans import RebuildPlan
from core.services.trainer_specs import StagingPlan
from worker.control.desk import Claim


class RegistryDesk:
    """The `worker.control.desk.Desk` of one worker.

    Args:
        owner: names this worker in the registry and its logs.
    """

    def __init__(self, registry: Registry, *, owner: str, lease_seconds: float, barren_limit: int) -> None:
        self._registry = registry
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._barren_limit = barren_limit

    def claim(self) -> Claim | None:
        """Take the next job that may run, or None."""
        with self._registry.write() as work:
            job = claims.claim(work, owner=self._owner, lease_seconds=self._lease_seconds)
            if job is None or job.fence is None:
                return None
            left = None if job.deadline_ms is None else (job.deadline_ms - work.now_ms()) / 1000
            return Claim(job=job, fence=job.fence, seconds_left=left)

    def beat(self, claim: Claim) -> BeatAnswer:
        """Renew the lease; return what users ask of the job."""
        with self._registry.write() as work:
            return claims.beat(work, job_id=claim.job.id, fence=claim.fence, lease_seconds=self._lease_seconds)

    def record(self, claim: Claim, events: Sequence[Event]) -> None:
        """Note what the trainer reported."""
        with self._registry.write() as work:
            claims.record(work, job_id=claim.job.id, fence=claim.fence, events=events)

    def fail(self, claim: Claim, *, code: str, detail: str) -> None:
        """End the job as failed."""
        with self._registry.write() as work:
            claims.fail(work, job_id=claim.job.id, fence=claim.fence, code=code, detail=detail)

    def confirm_cancelled(self, claim: Claim) -> None:
        """End the job as cancelled."""
        with self._registry.write() as work:
            claims.confirm_cancelled(work, job_id=claim.job.id, fence=claim.fence)

    def confirm_paused(self, claim: Claim) -> None:
        """Pause the job."""
        with self._registry.write() as work:
            claims.confirm_paused(work, job_id=claim.job.id, fence=claim.fence)

    def release(self, claim: Claim) -> None:
        """Put the job back to its place in the queue."""
        with self._registry.write() as work:
            claims.release(work, job_id=claim.job.id, fence=claim.fence)

    def give_up(self, claim: Claim, *, reason: str) -> None:
        """Let go of the job; the attempt counts as barren."""
        with self._registry.write() as work:
            claims.give_up(work, job_id=claim.job.id, fence=claim.fence, barren_limit=self._barren_limit, reason=reason)

    def sweep(self) -> int:
        """Take jobs away from holders whose lease ran out, and forget old answers; return how many jobs."""
        with self._registry.write() as work:
            idempotency.prune(work)
            claims.trim_leases(work, lease_seconds=self._lease_seconds)
            return len(claims.sweep(work, barren_limit=self._barren_limit))

    def plan(self, claim: Claim) -> StagingPlan:
        """Return what a `train` job needs in its folder."""
        with self._registry.read() as work:
            return trainer_specs.build(work, job=claim.job)

    def rebuild_plan(self, claim: Claim) -> RebuildPlan:
        """Return what a `rebuild` job needs in its folder."""
        with self._registry.read() as work:
            return rebuild_plans.build(work, job=claim.job)

    def export_plan(self, claim: Claim) -> ExportPlan:
        """Return what an `export` job needs in its folder."""
        with self._registry.read() as work:
            return export_plans.build(work, job=claim.job)

    def base_source(self, claim: Claim) -> tuple[str, str]:
        """Return name and source of the base model that an `inspect` job reads."""
        with self._registry.read() as work:
            base = base_models.get(work, name=str(claim.job.base_model_id))
        return base.name, base.source

    def publish(self, claim: Claim, *, manifest: Manifest, scores: Sequence[ScoreEvent], artefact: str) -> None:
        """Make the version of a finished `train` or `rebuild` job visible."""
        with self._registry.write() as work:
            versions.publish(
                work,
                job_id=claim.job.id,
                fence=claim.fence,
                manifest=manifest,
                scores=scores,
                artefact=artefact,
            )

    def complete_export(
        self, claim: Claim, *, manifest_sha256: str, files: Sequence[ExportedFile], parity: Parity
    ) -> None:
        """Finish an `export` job, whose folder lies in the store already."""
        with self._registry.write() as work:
            export_publication.complete(
                work,
                job_id=claim.job.id,
                fence=claim.fence,
                manifest_sha256=manifest_sha256,
                files=files,
                parity=parity,
            )

    def record_facts(self, claim: Claim, *, facts: BaseFacts, path: str) -> None:
        """Finish an `inspect` job."""
        with self._registry.write() as work:
            base_models.record_facts(work, job=claim.job, fence=claim.fence, facts=facts, path=path)
