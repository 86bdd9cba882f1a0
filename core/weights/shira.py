"""Sparse updates as a SHiRA adapter (Bhardwaj et al. 2024, arXiv 2406.13175), which PEFT loads without this package.

Unlike plain LoRA, SHiRA holds single entries of the weights, so a gated update goes into it as it is:

    base_model.model.<module>.shira_indices   int32 [2, n], row and column of each entry, in row-major order
    base_model.model.<module>.shira_weight    float32 [n], what is added there

PEFT wants ``n = r (out + in)`` with one ``r`` for all layers. ``r`` is the smallest that holds the fullest layer; the
others are filled up with entries that add zero.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from core.domain.errors import InvalidError
from core.weights import tensor_files
from core.weights.delta import Delta, Shape

CONFIG_FILE: Final = "adapter_config.json"
WEIGHTS_FILE: Final = "adapter_model.safetensors"
_PREFIX: Final = "base_model.model."


@dataclass(frozen=True, slots=True)
class ShiraExport:
    """What was written.

    Attributes:
        size_bytes: of the file of weights.
        nnz: entries that change a weight.
        entries: entries in the file, those that add zero included.
        rank: PEFT's ``r``: a layer holds ``r (out + in)`` entries.
    """

    size_bytes: int
    nnz: int
    entries: int
    rank: int


def export_shira(deltas: Delta | Sequence[Delta], folder: Path) -> ShiraExport:
    """Write the sum of ``deltas`` into ``folder`` as a SHiRA adapter; no model is loaded.

    PEFT adapts ``torch.nn.Linear`` with it, not GPT-2's ``Conv1D``.

    Args:
        deltas: one task's update, or a chain's, oldest first.
        folder: is made; it will hold ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        InvalidError: there is nothing to write, a layer is too full for SHiRA's format, or shapes disagree.
    """
    chain = [deltas] if isinstance(deltas, Delta) else list(deltas)
    shapes = _shapes(chain)
    entries = {name: _sum(chain, name, shape) for name, shape in shapes.items()}
    rank = _rank({name: len(indices) for name, (indices, _) in entries.items()}, shapes)
    tensors: dict[str, Tensor] = {}
    for name, (indices, values) in entries.items():
        places, held = _filled_up(indices, values, shapes[name], rank)
        columns = shapes[name][1]
        tensors[f"{_PREFIX}{name}.shira_indices"] = torch.stack([places // columns, places % columns]).to(torch.int32)
        tensors[f"{_PREFIX}{name}.shira_weight"] = held
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(_config(rank, shapes), indent=2) + "\n", encoding="utf-8")
    tensor_files.write(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
    return ShiraExport(
        size_bytes=(folder / WEIGHTS_FILE).stat().st_size,
        nnz=sum(len(indices) for indices, _ in entries.values()),
        entries=sum(rank * sum(shape) for shape in shapes.values()),
        rank=rank,
    )


def _shapes(chain: Sequence[Delta]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for delta in chain:
        for name, module in delta.modules.items():
            if shapes.setdefault(name, module.shape) != module.shape:
                raise InvalidError(f"the deltas disagree on the shape of {name!r}: they are not of one base model")
    if not shapes:
        raise InvalidError("there is no delta to export: learn a task first")
    return dict(sorted(shapes.items()))


def _sum(chain: Sequence[Delta], name: str, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return the flat positions (int64) and the values (float32) of the non-zeros of a module's summed update."""
    total_OI = torch.zeros(shape, dtype=torch.float64)
    for delta in chain:
        if name in delta.modules:
            total_OI += delta.modules[name].to_dense()
    flat = total_OI.to(torch.float32).view(-1)
    indices = torch.nonzero(flat).view(-1)
    return indices, flat[indices]


def _rank(counts: Mapping[str, int], shapes: Mapping[str, Shape]) -> int:
    rank = max(1, *(-(-count // sum(shapes[name])) for name, count in counts.items()))
    for name, (rows, columns) in shapes.items():
        if rank * (rows + columns) > rows * columns:
            raise InvalidError(
                f"the update is too full for SHiRA: its fullest layer needs r = {rank}, and {name!r} of {rows} x "
                f"{columns} holds no {rank} x ({rows} + {columns}) entries; save the merged model instead"
            )
    return rank


def _filled_up(indices: Tensor, values: Tensor, shape: Shape, rank: int) -> tuple[Tensor, Tensor]:
    """Return ``rank (out + in)`` positions in increasing order and their values, zero at positions that were free."""
    missing = rank * sum(shape) - len(indices)
    free = torch.ones(shape[0] * shape[1], dtype=torch.bool)
    free[indices] = False
    places = torch.cat([indices, torch.nonzero(free).view(-1)[:missing]])
    order = places.argsort()
    return places[order], torch.cat([values, values.new_zeros(missing)])[order]


def _config(rank: int, shapes: Mapping[str, Shape]) -> dict[str, object]:
    return {
        "peft_type": "SHIRA",
        "base_model_name_or_path": None,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_weights": True,
        "mask_type": "random",
        "modules_to_save": None,
        "r": rank,
        # The positions in the file take the place of random ones, which PEFT draws before it reads them.
        "random_seed": 0,
        "revision": None,
        "target_modules": list(shapes),
        "task_type": None,
    }
