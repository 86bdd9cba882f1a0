"""`export` jobs: a version's chain goes in, files that other software opens come out."""

import hashlib
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.domain.errors import CorruptError
from core.domain.export_spec import PARITY_FILE, ExportSpec
from core.domain.exports import ExportedFile, Parity, export_key
from core.domain.job_folder import JobFolder, ScoreEvent
from core.domain.trainer_spec import BaseRef, ChainLink
from core.services.export_plans import ExportPlan
from core.storage import durable, lineages, manifests
from worker.control import preflight, results, staging
from worker.control.context import WorkerContext
from worker.control.desk import Claim
from worker.control.heart import Heart

_LINEAGE: Final = "lineage"


class ExportJobs:
    """How `export` jobs are staged and finished. They keep no checkpoint: one that breaks off begins anew."""

    module = "worker.compute.export"
    online = False

    def stage(self, claim: Claim, context: WorkerContext, *, folder: JobFolder, heart: Heart) -> None:
        """Fetch the chain, packed with what is known of it where that is what is asked; and write the spec last."""
        plan = heart.insist(lambda: context.desk.export_plan(claim))
        preflight.require_disk(context, expected_bytes=plan.disk_bytes)
        durable.remove_tree(folder.chain)
        packed = _pack(plan, context, folder) if plan.lineage else None
        spec = ExportSpec(
            base=BaseRef(path=plan.base_path, digest=plan.base_digest),
            chain=_links(plan, packed, folder) if packed else staging.stage_chain(plan.chain, context, folder),
            version_digest=plan.version_digest,
            format=plan.export.format,
            dtype=plan.export.dtype,
            card=plan.card,
            lineage=staging.relative(packed, folder) if packed else None,
            threads=context.compute.threads,
        )
        staging.write_spec(spec, folder)

    def finish(
        self,
        claim: Claim,
        context: WorkerContext,
        *,
        folder: JobFolder,
        heart: Heart,
        scores: tuple[ScoreEvent, ...],
    ) -> None:
        """Verify what was left, store it, and only then make it known.

        Raises:
            CorruptError: the job left no complete export, or none with a proof.
            ConflictError: the registry refused it; what was stored of it is gone.
        """
        del scores
        out, job = folder.out, claim.job
        manifests.verify(out)
        sha256 = hashlib.sha256((out / manifests.NAME).read_bytes()).hexdigest()
        parity = _proof(out)
        files = [
            ExportedFile(name=file.name, bytes=file.bytes, sha256=file.sha256) for file in manifests.hash_files(out)
        ]
        files.append(ExportedFile(name=manifests.NAME, bytes=(out / manifests.NAME).stat().st_size, sha256=sha256))
        key = export_key(project_id=job.project_id, model_id=str(job.model_id), manifest_sha256=sha256)
        preflight.await_disk(context, heart, out)
        results.put_up(
            out,
            key=key,
            tell=lambda: context.desk.complete_export(claim, manifest_sha256=sha256, files=files, parity=parity),
            context=context,
            heart=heart,
        )


def _pack(plan: ExportPlan, context: WorkerContext, folder: JobFolder) -> Path | None:
    if plan.lineage is None:
        return None
    packed = folder.chain / _LINEAGE
    project_id = plan.export.project_id
    lineages.pack(packed, plan.lineage, project_id=project_id, artefacts=context.artefacts, blobs=None)
    return packed


def _links(plan: ExportPlan, packed: Path, folder: JobFolder) -> tuple[ChainLink, ...]:
    places = dict(lineages.unpack(packed).artefacts())
    return tuple(
        ChainLink(
            version_id=link.version_id,
            folder=staging.relative(places[link.manifest_sha256], folder),
            manifest_sha256=link.manifest_sha256,
        )
        for link in plan.chain
    )


def _proof(out: Path) -> Parity:
    try:
        return Parity.model_validate_json((out / PARITY_FILE).read_bytes())
    except FileNotFoundError as error:
        raise CorruptError("the export has no proof that it is its version") from error
    except ValidationError as error:
        raise CorruptError(f"the export's proof has {error.error_count()} faults") from error
