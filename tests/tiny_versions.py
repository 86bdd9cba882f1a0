"""Published versions of a tiny base model, and a registry that a test can set: what the engine needs, without training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from core.domain.errors import MissingError
from core.domain.identifiers import new_id
from core.domain.manifest import CANARY_FILE, DELTA_FILE, Manifest, Provenance
from core.serving import clone
from core.serving.servable import Assignment, Link, Servable
from core.storage import manifests
from core.storage.artefacts import LocalArtefactStore
from core.weights import base, canary
from core.weights.delta import Delta
from core.weights.fold import fold


@dataclass(frozen=True, kw_only=True)
class Made:
    """One published artefact."""

    manifest: Manifest
    key: str
    sha256: str


class Shelf:
    """A base model's folder and the versions that were made of it, in an artefact store below ``root``."""

    def __init__(self, root: Path, base_path: Path) -> None:
        self.root = root
        self.artefacts_dir = root / "artefacts"
        self.artefacts = LocalArtefactStore(self.artefacts_dir)
        self.base_path = base_path
        self.loaded = base.load(base_path)

    def original(self, model_id: str = "mdl_a") -> Servable:
        """Return ``model@0``."""
        digest = self.loaded.facts.digest
        return Servable(
            version_id=new_id("ver"),
            model_id=model_id,
            base_path=self.base_path,
            base_digest=digest,
            digest=digest,
            chain=(),
        )

    def child(self, parent: Servable, *, seed: int, scale: float = 0.5, sparse: bool = True) -> Servable:
        """Publish a version whose delta is random on a tenth of the default targets' entries."""
        made = self.publish(parent, seed=seed, scale=scale, sparse=sparse)
        version_id = new_id("ver")
        link = Link(version_id=version_id, artefact=made.key, manifest_sha256=made.sha256)
        return replace(parent, version_id=version_id, digest=made.manifest.digest, chain=(*parent.chain, link))

    def publish(self, parent: Servable, *, seed: int, scale: float = 0.5, sparse: bool = True, **said: Any) -> Made:
        """Write and publish an artefact on top of ``parent``; ``said`` replaces what its manifest says."""
        delta = Delta.from_dense(self.updates(seed=seed, scale=scale), sparse=sparse)
        folded = fold(self.loaded.model, [*self.deltas_of(parent), delta])
        folder = self.root / "work" / new_id("out")
        folder.mkdir(parents=True)
        delta.save(folder / DELTA_FILE)
        twin = clone.with_weights(self.loaded.model, folded)
        canary.write(folder / CANARY_FILE, canary.compute(twin, self.loaded.tokenizer, self.loaded.facts.family))
        manifest = Manifest(
            provenance=Provenance(
                project_id="prj_default",
                model_id=parent.model_id,
                task_id="task_x",
                job_id="job_x",
                fence=seed,
                parent_version_id=parent.version_id,
            ),
            base_digest=parent.base_digest,
            chain=tuple(link.manifest_sha256 for link in parent.chain),
            digest=self.loaded.digest_with(folded),
            delta=delta.summary(size_bytes=(folder / DELTA_FILE).stat().st_size),
            recipe={},
            template={},
            libraries={"torch": torch.__version__},
        ).model_copy(update=said)
        sha256 = manifests.seal(folder, manifest.model_dump(mode="json"))
        key = f"versions/{manifest.provenance.project_id}/{manifest.provenance.model_id}/{sha256}"
        self.artefacts.publish(folder, key=key)
        return Made(manifest=manifest, key=key, sha256=sha256)

    def updates(self, *, seed: int, scale: float = 0.5) -> dict[str, torch.Tensor]:
        """Return random update matrices for the default targets, a tenth of their entries non-zero."""
        torch.manual_seed(seed)
        facts = self.loaded.facts
        shapes = {
            name: shape for name, shape in facts.modules.items() if name.rsplit(".", 1)[-1] in facts.default_targets
        }
        return {
            name: torch.randn(shape) * scale * (torch.rand(shape) < 0.1)  # the tenth that is kept
            for name, shape in shapes.items()
        }

    def deltas_of(self, servable: Servable) -> list[Delta]:
        """Return the deltas of a version's chain."""
        return [Delta.load(self.artefacts.path(link.artefact) / DELTA_FILE) for link in servable.chain]


class SetSource:
    """A `VersionSource` that says what a test sets."""

    def __init__(self) -> None:
        self.aliases: dict[str, Servable] = {}
        self.versions: dict[str, Servable] = {}
        self.corrupt: list[tuple[str, str]] = []

    def point(self, alias: str, servable: Servable) -> str:
        """Let an alias name a version; return the reference by which it is asked for."""
        self.versions[servable.version_id] = servable
        reference = f"{servable.model_id}:{alias}"
        self.aliases = {**self.aliases, reference: servable}
        return reference

    def assignments(self) -> Sequence[Assignment]:
        """Return every alias."""
        return [
            Assignment(model_id=servable.model_id, alias=reference.partition(":")[2], servable=servable)
            for reference, servable in self.aliases.items()
        ]

    def servable(self, version_id: str) -> Servable:
        """Return one version."""
        if version_id not in self.versions:
            raise MissingError("no such version", code="version_not_found")
        return self.versions[version_id]

    def mark_corrupt(self, version_id: str, reason: str) -> None:
        """Remember the report."""
        self.corrupt.append((version_id, reason))
