"""A task's merged update: per adapted module the values that were added to its weight, in one safetensors file.

    sparse   <module>.indices  int32 (int64 where needed) [nnz], flat row-major positions, strictly increasing
             <module>.values   float32 or float64 [nnz]
    dense    <module>.values   float32 or float64 [out, in]

Matrices are ``[out, in]`` whatever a layer's own layout is (`core.weights.linear`). The shapes of the modules stand in
the file's metadata. A file is read strictly: what is not exactly this is corrupt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from core.domain.errors import CorruptError
from core.domain.manifest import DELTA_FILE, DeltaSummary, ModuleSummary
from core.weights import tensor_files

Format = Literal["sparse", "dense"]
Shape = tuple[int, int]

_FORMAT: Final = "strata-delta-1"
_KINDS: Final[dict[str, Format]] = {"sparse": "sparse", "dense": "dense"}
_INDICES: Final = ".indices"
_VALUES: Final = ".values"
_VALUE_DTYPES: Final = frozenset({torch.float32, torch.float64})


@dataclass(frozen=True, slots=True)
class ModuleDelta:
    """What is added to one module's weight.

    Attributes:
        shape: of the weight, ``(out, in)``.
        indices: flat row-major positions ``[nnz]``, strictly increasing; None for a dense delta.
        values: ``[nnz]``, or ``[out, in]`` for a dense delta.
    """

    shape: Shape
    indices: Tensor | None
    values: Tensor

    @property
    def nnz(self) -> int:
        """The number of entries that change."""
        return self.values.numel() if self.indices is not None else int(torch.count_nonzero(self.values))

    def to_dense(self) -> Tensor:
        """Return the update as a matrix ``[out, in]``."""
        if self.indices is None:
            return self.values
        dense = torch.zeros(self.shape[0] * self.shape[1], dtype=self.values.dtype)
        dense[self.indices.long()] = self.values
        return dense.view(self.shape)


@dataclass(frozen=True, slots=True)
class Delta:
    """One task's update, by module name in sorted order."""

    modules: Mapping[str, ModuleDelta]
    format: Format

    @classmethod
    def from_dense(cls, updates: Mapping[str, Tensor], *, sparse: bool) -> "Delta":
        """Build a delta from full update matrices ``[out, in]`` by module name; a sparse one keeps the non-zeros.

        Values stay in float64 if they come in it; anything else becomes float32.
        """
        build = _sparse_module if sparse else _dense_module
        modules = {name: build(update.detach().to("cpu")) for name, update in sorted(updates.items())}
        return cls(modules=modules, format="sparse" if sparse else "dense")

    @property
    def nnz(self) -> int:
        """The number of entries that change, over all modules."""
        return sum(module.nnz for module in self.modules.values())

    @property
    def density(self) -> float:
        """The share of the adapted modules' entries that change."""
        entries = sum(module.shape[0] * module.shape[1] for module in self.modules.values())
        return self.nnz / entries if entries else 0.0

    def save(self, path: Path) -> None:
        """Write the delta to ``path``.

        Raises:
            CorruptError: a value is not finite.
        """
        tensors: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            _require_finite(name, module.values)
            tensors[name + _VALUES] = module.values.contiguous()
            if module.indices is not None:
                tensors[name + _INDICES] = module.indices.contiguous()
        shapes = {name: module.shape for name, module in self.modules.items()}
        # One key: safetensors writes several in no fixed order, and the same delta shall be the same bytes.
        tensor_files.write(path, tensors, {_FORMAT: json.dumps({"kind": self.format, "shapes": shapes})})

    @classmethod
    def load(cls, path: Path, *, shapes: Mapping[str, Shape] | None = None) -> "Delta":
        """Read and check a delta file.

        Args:
            path: the file.
            shapes: the modules of the base model; no other name and no other shape is accepted.

        Raises:
            CorruptError: anything about the file is not as this module's description says.
        """
        tensors, metadata = tensor_files.read(path)
        format_, declared = _read_metadata(metadata)
        if shapes is not None and any(shapes.get(name) != shape for name, shape in declared.items()):
            raise CorruptError("the delta names a module or a shape that the base model does not have")
        suffixes = (_VALUES, _INDICES) if format_ == "sparse" else (_VALUES,)
        if set(tensors) != {name + suffix for name in declared for suffix in suffixes}:
            raise CorruptError("the delta's tensors are not those of its modules")
        modules = {
            name: _checked(name, ModuleDelta(shape, tensors.get(name + _INDICES), tensors[name + _VALUES]))
            for name, shape in sorted(declared.items())
        }
        return cls(modules=modules, format=format_)

    def summary(
        self,
        *,
        size_bytes: int,
        file: str = DELTA_FILE,
        norm_ratios: Mapping[str, float] | None = None,
        non_finite: int | None = None,
    ) -> DeltaSummary:
        """Return the figures that the manifest holds.

        Args:
            size_bytes: of the written file.
            file: its name.
            norm_ratios: of `core.weights.norms.norm_ratios`, where they were measured.
            non_finite: how many of the folded weights are no finite numbers, where they were counted.
        """
        ratios = norm_ratios or {}
        modules = {
            name: ModuleSummary(shape=module.shape, nnz=module.nnz, norm_ratio=ratios.get(name))
            for name, module in self.modules.items()
        }
        return DeltaSummary(
            file=file,
            format=self.format,
            nnz=self.nnz,
            density=self.density,
            size_bytes=size_bytes,
            non_finite=non_finite,
            modules=modules,
        )


def _sparse_module(update: Tensor) -> ModuleDelta:
    flat = _as_values(update).reshape(-1)
    indices = torch.nonzero(flat).reshape(-1)
    values = flat[indices]
    if flat.numel() <= torch.iinfo(torch.int32).max:
        indices = indices.to(torch.int32)
    return ModuleDelta(_shape_of(update), indices, values)


def _dense_module(update: Tensor) -> ModuleDelta:
    return ModuleDelta(_shape_of(update), None, _as_values(update).clone())


def _shape_of(update: Tensor) -> Shape:
    rows, columns = update.shape
    return rows, columns


def _as_values(update: Tensor) -> Tensor:
    return update if update.dtype in _VALUE_DTYPES else update.to(torch.float32)


def _read_metadata(metadata: Mapping[str, str]) -> tuple[Format, dict[str, Shape]]:
    try:
        said = json.loads(metadata[_FORMAT])
        kind = _KINDS[said["kind"]]
        shapes = {str(name): (int(rows), int(columns)) for name, (rows, columns) in said["shapes"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptError("not a delta file of a known format, which says its kind and its modules' shapes") from error
    return kind, shapes


def _checked(name: str, module: ModuleDelta) -> ModuleDelta:
    if module.values.dtype not in _VALUE_DTYPES:
        raise CorruptError(f"the delta's values of {name!r} have a wrong dtype")
    if module.indices is None:
        if tuple(module.values.shape) != module.shape:
            raise CorruptError(f"the delta's values of {name!r} have a wrong shape")
    else:
        _check_indices(name, module.indices, module)
    _require_finite(name, module.values)
    return module


def _check_indices(name: str, indices: Tensor, module: ModuleDelta) -> None:
    if indices.dtype not in {torch.int32, torch.int64}:
        raise CorruptError(f"the delta's indices of {name!r} have a wrong dtype")
    if indices.dim() != 1 or indices.shape != module.values.shape:
        raise CorruptError(f"the delta's indices of {name!r} do not match its values")
    if indices.numel() and (int(indices[0]) < 0 or int(indices[-1]) >= module.shape[0] * module.shape[1]):
        raise CorruptError(f"the delta's indices of {name!r} are out of range")
    if bool((indices[1:] <= indices[:-1]).any()):
        raise CorruptError(f"the delta's indices of {name!r} do not increase")


def _require_finite(name: str, values: Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        raise CorruptError(f"the delta of {name!r} holds a value that is not finite")
