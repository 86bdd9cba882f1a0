"""`adapter`: the sum of the chain's updates as a SHiRA adapter, which PEFT puts on the base model."""

from pathlib import Path

import torch
from torch import nn

from core.domain.errors import InvalidError
from core.domain.export_spec import ExportSpec
from core.weights import base
from core.weights.exporting.version import LoadedVersion, Opened
from core.weights.shira import export_shira


class Adapter:
    """How an `adapter` export is written and opened."""

    def write(self, version: LoadedVersion, out: Path) -> None:
        """Write the summed update of the adapted layers, which must be `torch.nn.Linear`."""
        modules = sorted({name for delta in version.deltas for name in delta.modules})
        for name in modules:
            layer = version.base.model.get_submodule(name)
            if not isinstance(layer, nn.Linear):
                raise InvalidError(
                    f"PEFT's SHiRA adapts torch.nn.Linear, and {name!r} is a {type(layer).__name__}; "
                    "export the version as merged",
                    code="unsupported_export",
                )
        try:
            export_shira(version.deltas, out)
        except InvalidError as error:
            raise InvalidError(error.detail, code="unsupported_export") from error

    def reopen(self, spec: ExportSpec, out: Path) -> Opened:
        """Put the adapter on the base model by PEFT."""
        from peft import PeftModel

        loaded = base.load(Path(spec.base.path), dtype=torch.float32, expected_digest=spec.base.digest)
        model = PeftModel.from_pretrained(loaded.model, str(out))
        return Opened(
            model=model.eval(),
            tokenizer=loaded.tokenizer,
            digest=None,
            by=("peft", "safetensors", "torch", "transformers"),
        )
