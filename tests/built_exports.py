"""What an `export` job leaves, without computing it: files in the store and an export that knows them."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import stage

from core.domain.exports import Export, ExportedFile, Parity, export_key
from core.domain.records import Job
from core.registry import versions
from core.registry.work import Registry, Work
from core.services import export_publication
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore

CONTENTS: Final = {"README.md": b"# A version\n", "weights/model.safetensors": bytes(range(256)) * 20, "empty": b""}


def proof(work: Work, job: Job, **said: object) -> Parity:
    version = versions.get(work, str(job.parent_version_id))
    made = Parity(
        version_digest=version.digest,
        same_tensors=True,
        prompts=("?",),
        max_abs_difference=0.0,
        largest_logit=1.0,
        tolerance=1e-4,
        opened_by={"transformers": "5"},
    )
    return made.model_copy(update=said)


def build(registry: Registry, artefacts_dir: Path, *, contents: Mapping[str, bytes] = CONTENTS) -> Export:
    """Claim the next job, which must be an export's, and finish it with these files."""
    job = stage.claimed(registry)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "out"
        for name, content in {**contents, "job.txt": job.id.encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        sha256 = manifests.seal(folder, {})
        files = [
            ExportedFile(name=each.name, bytes=each.bytes, sha256=each.sha256) for each in manifests.hash_files(folder)
        ]
        seal = folder / manifests.NAME
        files.append(ExportedFile(name=manifests.NAME, bytes=seal.stat().st_size, sha256=sha256))
        key = export_key(project_id=job.project_id, model_id=str(job.model_id), manifest_sha256=sha256)
        LocalArtefactStore(artefacts_dir).publish(folder, key=key)
    with registry.write() as work:
        return export_publication.complete(
            work,
            job_id=job.id,
            fence=stage.fence_of(job),
            manifest_sha256=sha256,
            files=files,
            parity=proof(work, job),
        )
