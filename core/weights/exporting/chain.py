"""`delta`: the tasks' updates as they were published, in the folder that `python -m api.lineages import` reads."""

from pathlib import Path

import torch

from core.domain.errors import InvalidError
from core.domain.export_spec import ExportSpec
from core.domain.lineage import Lineage
from core.domain.manifest import DELTA_FILE
from core.storage import durable, lineages, manifests
from core.storage.lineages import PackedLineage
from core.weights import base, fold
from core.weights.delta import Delta
from core.weights.exporting.version import LoadedVersion, Opened


class Chain:
    """How a `delta` export is written and opened: the packed lineage, and the base model that it stands on."""

    def write(self, version: LoadedVersion, out: Path) -> None:
        """Copy the packed lineage but for its seal: it is sealed anew, with what stands beside it."""
        if version.spec.lineage is None:
            raise InvalidError("a delta export needs its lineage", code="invalid_spec")
        durable.copy_tree(version.root / version.spec.lineage, out)
        (out / manifests.NAME).unlink()

    def reopen(self, spec: ExportSpec, out: Path) -> Opened:
        """Fold the deltas of the folder into the base model."""
        lineage = Lineage.model_validate_json((out / lineages.DOCUMENT).read_bytes())
        folders = dict(PackedLineage(out, lineage).artefacts())
        loaded = base.load(Path(spec.base.path), dtype=torch.float32, expected_digest=spec.base.digest)
        deltas = [
            Delta.load(folders[link.manifest_sha256] / DELTA_FILE, shapes=loaded.facts.modules) for link in spec.chain
        ]
        folded = fold.fold(loaded.model, deltas, dtype=loaded.stored_dtype)
        fold.apply(loaded.model, folded)
        return Opened(
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            digest=loaded.digest_with(folded),
            by=("safetensors", "torch", "transformers"),
        )
