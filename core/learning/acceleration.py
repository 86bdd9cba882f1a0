"""On which device and in which precision a task is learned, and what is refused before anything is loaded."""

import json
import os
from pathlib import Path
from typing import Final, Literal

import torch
from accelerate import Accelerator

from core.domain.errors import InvalidError
from core.learning.training import Precision
from core.weights.base import CONFIG

# What accelerate calls the types of the matrix products.
_MIXED: Final[dict[Precision, Literal["no", "bf16", "fp16"]]] = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_SHARDED: Final = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}


def accelerator_for(precision: Precision, *, cpu: bool) -> Accelerator:
    """Return what carries the steps out: the CPU if ``cpu`` says so, else a GPU if there is one.

    Raises:
        InvalidError: fp16 without a CUDA device, or an environment that asks for sharded weights.
    """
    for variable, name in _SHARDED.items():
        if os.environ.get(variable, "false").lower() in {"1", "true", "yes"}:
            raise InvalidError(
                f"{name} shards the weights, and an update is read out of whole ones: use data-parallel processes",
            )
    if precision == "fp16" and (cpu or not torch.cuda.is_available()):
        raise InvalidError("training.precision fp16 needs a CUDA device; use bf16 or fp32")
    return Accelerator(cpu=cpu, mixed_precision=_MIXED[precision])


def require_dense(folder: Path) -> None:
    """Refuse a base model whose weights are packed in fewer bits: a delta is added to the values themselves.

    Raises:
        InvalidError: its configuration speaks of a quantization.
    """
    file = folder / CONFIG
    if file.is_file() and json.loads(file.read_bytes()).get("quantization_config"):
        raise InvalidError(
            "the base model's weights are quantized (4-bit, 8-bit), and a delta is added to whole values: "
            "register it in fp32, bf16 or fp16",
        )
