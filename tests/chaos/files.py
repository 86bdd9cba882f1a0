"""The part of the checker that looks at the disk: every version whole, and nothing that would stay for ever."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from core.domain.errors import StrataError
from core.domain.manifest import Manifest
from core.services import retention
from core.storage import manifests
from core.storage.artefacts import STAGING, LocalArtefactStore
from core.storage.blobs import LocalBlobStore
from tests.chaos.site import Site
from tests.fake_trainer.trainer import WALK
from tests.fake_trainer.walks import walked
from worker.control.collection import Collector

if TYPE_CHECKING:
    from tests.chaos.checker import Rows


def torn(data_dir: Path, rows: "Rows") -> Iterator[str]:
    """Name every ready version whose artefact is not exactly what its rows say."""
    store = LocalArtefactStore(data_dir / "artefacts")
    for version in rows.versions.values():
        if version.state == "ready" and version.number > 0:
            try:
                folder = store.path(version.artefact)
                told = Manifest.model_validate(manifests.verify(folder, sha256=version.manifest_sha256), strict=False)
            except (StrataError, ValidationError, OSError) as error:
                yield f"I6: {version.id}: {error}"
                continue
            if told.provenance.fence != version.fence or told.provenance.job_id != version.job_id:
                yield f"I4: {version.id} is made of what claim {told.provenance.fence} of {told.provenance.job_id} left"
            chain = tuple(rows.versions[link].manifest_sha256 for link in rows.chains[version.id][:-1])
            if told.chain != chain:
                yield f"I5: {version.id} was made for another chain"
            yield from _misstepped(version.id, folder)


def _misstepped(version_id: str, folder: Path) -> Iterator[str]:
    """Say so if the training of a version left a step out, or took one twice: resuming is exact."""
    walk = folder / WALK
    if walk.exists() and json.loads(walk.read_text()) != walked():
        yield f"I8: the steps of {version_id} do not add up"


def leftovers(site: Site) -> Iterator[str]:
    """Collect garbage as a worker would once it is a day old; name what stays although nothing refers to it."""
    data = site.data_dir
    scratch = (data / "uploads", data / "artefacts" / STAGING)
    artefacts, blobs = LocalArtefactStore(data / "artefacts"), LocalBlobStore(data / "blobs")
    collector = Collector(
        registry=site.registry,
        artefacts=artefacts,
        blobs=blobs,
        jobs_dir=site.jobs_dir,
        scratch=scratch,
        older_than_seconds=0,
    )
    list(collector.collect())
    with site.registry.read() as work:
        stored = [*artefacts.stale(older_than_seconds=0)]
        left = [f"artefact {key}" for key in retention.unnamed_artefacts(work, stored)]
        contents = [path.name for path in (data / "blobs").iterdir()]
        left += [f"blob {name}" for name in retention.unnamed_contents(work, contents)]
    left += [str(entry) for folder in scratch if folder.is_dir() for entry in folder.iterdir()]
    left += [str(entry) for entry in site.jobs_dir.glob("*/*/*") if entry.is_dir()]
    left += [str(entry) for entry in (data / "base-models").glob("*/.*")]
    left += [str(entry) for entry in data.rglob("*.partial")]
    yield from (f"I7: {thing} would stay for ever" for thing in left)
