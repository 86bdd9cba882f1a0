"""What an adapter of PEFT's ended with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel, get_peft_model_state_dict
from torch import Tensor

from core.weights import tensor_files


@dataclass(frozen=True, slots=True)
class AdapterState:
    """The factors and thresholds a task ended with, as PEFT saves them: for exports, never for serving."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def taken_off(cls, model: PeftModel) -> "AdapterState":
        """Read the state out of ``model`` and unload its adapter: the base is as it was."""
        config = model.peft_config["default"].to_dict() | {"base_model_name_or_path": None, "inference_mode": True}
        tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
        state = cls(config, {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
        model.unload()
        return state

    def write(self, folder: Path) -> None:
        """Write ``adapter_config.json`` and ``adapter_model.safetensors``."""
        folder.mkdir()
        text = json.dumps(self.config, indent=1, sort_keys=True, default=sorted)
        (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
        tensor_files.write(folder / "adapter_model.safetensors", self.tensors, {"format": "pt"})
