"""Making a built export known, in one transaction."""

from collections.abc import Sequence

from core.domain.errors import ConflictError, CorruptError
from core.domain.exports import Export, ExportedFile, Parity, export_key
from core.domain.jobs import JobState
from core.registry import exports, jobs, versions
from core.registry.work import Work
from core.services.chains import is_ready
from core.services.exports import require_export


def complete(
    work: Work,
    *,
    job_id: str,
    fence: int,
    manifest_sha256: str,
    files: Sequence[ExportedFile],
    parity: Parity,
) -> Export:
    """Make a finished `export` job's files known, which lie in the store already: job and export move together or not.

    Raises:
        LostLeaseError: another worker holds the job now.
        ConflictError: ``cancel_requested``, or ``parent_conflict``: the version is no longer ready.
        CorruptError: the proof is of another version, or it fails.
    """
    job = jobs.held(work, job_id=job_id, fence=fence)
    if job.cancel_requested:
        raise ConflictError("the job shall be cancelled", code="cancel_requested")
    export = require_export(work, project_id=job.project_id, export_id=job.params["export_id"])
    version = versions.get(work, export.version_id)
    if not is_ready(work, version):
        raise ConflictError("the version is no longer ready", code="parent_conflict")
    if parity.version_digest != version.digest or parity.max_abs_difference > parity.tolerance:
        raise CorruptError("the export is not proven to be this version")
    key = export_key(project_id=export.project_id, model_id=export.model_id, manifest_sha256=manifest_sha256)
    size_bytes = sum(file.bytes for file in files)
    jobs.move(
        work,
        job,
        to=JobState.SUCCEEDED,
        actor=job.owner or "worker",
        data={"export_id": export.id, "size_bytes": size_bytes},
    )
    return exports.change(
        work,
        export,
        manifest_sha256=manifest_sha256,
        artefact=key,
        size_bytes=size_bytes,
        files=[file.model_dump(mode="json") for file in files],
        parity=parity.model_dump(mode="json"),
        ready_ms=work.now_ms(),
    )
