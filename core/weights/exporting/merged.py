"""`merged`: the folded weights as a safetensors folder that plain transformers opens."""

from pathlib import Path

import torch

from core.domain.export_spec import ExportSpec
from core.weights import base
from core.weights.exporting.version import LoadedVersion, Opened


class Merged:
    """How a `merged` export is written and opened: the very tensors of the version."""

    def write(self, version: LoadedVersion, out: Path) -> None:
        """Write weights, configuration and tokenizer."""
        version.base.model.save_pretrained(out)
        version.base.tokenizer.save_pretrained(out)

    def reopen(self, spec: ExportSpec, out: Path) -> Opened:
        """Open the folder as every base model is opened: by transformers, and none of its code."""
        del spec
        loaded = base.load(out, dtype=torch.float32)
        return Opened(
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            digest=loaded.facts.digest,
            by=("safetensors", "torch", "transformers"),
        )
