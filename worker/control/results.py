"""What becomes of a version that was left in a job's folder: verified, stored, and only then visible."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, CorruptError, UnavailableError
from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.manifest import Manifest
from core.storage import manifests
from worker.control import preflight
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart


def publish(
    claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart, scores: tuple[ScoreEvent, ...]
) -> None:
    """Verify the artefact, store it, and only then make its version visible.

    Raises:
        CorruptError: the trainer left no complete artefact of this job.
        ConflictError: the registry refused the version; what was stored of it is gone.
    """
    manifest, sha256 = _read_manifest(folder.out)
    preflight.await_disk(context, heart, folder.out)
    key = f"versions/{manifest.provenance.project_id}/{manifest.provenance.model_id}/{sha256}"
    put_up(
        folder.out,
        key=key,
        tell=lambda: context.desk.publish(claim, manifest=manifest, scores=scores, artefact=key),
        context=context,
        heart=heart,
    )
    context.notify_engine()


def put_up(out: Path, *, key: str, tell: Callable[[], None], context: WorkerContext, heart: Heart) -> None:
    """Store a verified artefact, and only then tell the registry of it.

    Raises:
        ConflictError: the registry refused it; what was stored of it is gone.
    """
    crash_point("store.before")
    heart.insist(lambda: context.artefacts.publish(out, key=key))
    crash_point("store.after")

    def make_known() -> None:
        # Past the last look at the lease: from here on only the fence keeps out a holder that comes too late.
        crash_point("publish.before")
        tell()
        crash_point("publish.after")

    try:
        heart.insist(make_known)
    except ConflictError:
        # While the store is away it stays, and is collected later.
        with suppress(UnavailableError):
            context.artefacts.delete(key)
        raise


def _read_manifest(out: Path) -> tuple[Manifest, str]:
    body = manifests.verify(out)
    try:
        manifest = Manifest.model_validate(body, strict=False)
    except ValidationError as error:
        raise CorruptError(f"the trainer's manifest has {error.error_count()} faults") from error
    return manifest, hashlib.sha256((out / manifests.NAME).read_bytes()).hexdigest()
