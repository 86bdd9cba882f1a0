"""Weights that are multiplied by the same input lie one behind another, so that one product does for all.

A packed tensor is a view of the storage that it shares with its neighbours: nothing is held twice. A version's own
tensors are packed with each other, never with those it shares with its base.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

# Modules of one layer with the same input.
GROUPS: Final = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("mlp.gate_proj", "mlp.up_proj"),
)


def pack_base(model: Any) -> None:
    """Pack the weights of a base that no version shares yet, in place; their values stay as they are."""
    for layer in model.model.layers:
        for group in GROUPS:
            linears = [layer.get_submodule(name) for name in group]
            for linear, view in zip(linears, _views([linear.weight.data for linear in linears]), strict=True):
                linear.weight = nn.Parameter(view, requires_grad=False)


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a version's own weights by name (``<module>.weight``), those of one group packed."""
    found = dict(tensors)
    for names in _groups_of(tensors):
        found.update(zip(names, _views([tensors[name] for name in names]), strict=True))
    return found


def runs(weights: list[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """Yield the places in ``weights`` whose tensors lie one behind another, and the one tensor that they are."""
    order = sorted(range(len(weights)), key=lambda place: weights[place].data_ptr())
    run: list[int] = []
    for place in order:
        if run and not _follows(weights[run[-1]], weights[place]):
            yield run, _joined([weights[member] for member in run])
            run = []
        run.append(place)
    yield run, _joined([weights[member] for member in run])


def _groups_of(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Yield the names of each group in each layer, as far as they are there."""
    found = {
        (name.removesuffix(f"{module}.weight"), group)
        for name in tensors
        for group in GROUPS
        for module in group
        if name.endswith(f".{module}.weight")
    }
    for layer, group in found:
        yield [f"{layer}{module}.weight" for module in group if f"{layer}{module}.weight" in tensors]


def _views(tensors: list[Tensor]) -> list[Tensor]:
    joined = torch.cat(tensors)
    return list(joined.split([tensor.shape[0] for tensor in tensors]))


def _follows(before: Tensor, after: Tensor) -> bool:
    return (
        before.untyped_storage().data_ptr() == after.untyped_storage().data_ptr()
        and before.shape[1] == after.shape[1]
        and before.is_contiguous()
        and after.is_contiguous()
        and before.storage_offset() + before.numel() == after.storage_offset()
    )


def _joined(tensors: list[Tensor]) -> Tensor:
    first = tensors[0]
    rows = sum(tensor.shape[0] for tensor in tensors)
    return first.as_strided((rows, first.shape[1]), first.stride()) if len(tensors) > 1 else first
