"""Weights of a version: base + the deltas of its chain, added in order in fp32, cast once.

Trainer and engine both go through `fold`, so the same chain gives the same bits everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from core.domain.errors import CorruptError
from core.weights import digests
from core.weights.delta import Delta, ModuleDelta
from core.weights.linear import is_linear, outputs_first

WEIGHT: Final = ".weight"


def fold(model: nn.Module, deltas: Sequence[Delta], *, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Return the weights that ``deltas`` change, by tensor name (``<module>.weight``); ``model`` stays as it is.

    Sums are taken in float32 (float64 where the weight or a delta is wider), in the order of ``deltas``.

    Args:
        model: the base model, unadapted.
        deltas: the chain, oldest first.
        dtype: what the sums are cast to; None means the weight's own. Where the model was widened after loading, pass
            `LoadedBase.stored_dtype` to get the published bits.

    Raises:
        CorruptError: a delta names a module that the model does not have, or in another shape.
    """
    sums: dict[str, Tensor] = {}
    linears: dict[str, nn.Linear] = {}
    for delta in deltas:
        for module, change in delta.modules.items():
            if module not in sums:
                linears[module] = _linear(model, module, change)
                sums[module] = _widened(linears[module])
            sums[module] = _add(sums[module], change)
    return {module + WEIGHT: _cast(sums[module], linears[module], dtype) for module in sorted(sums)}


def apply(model: nn.Module, folded: Mapping[str, Tensor]) -> None:
    """Write folded tensors into a private ``model``, in place, in the model's own dtype."""
    with torch.no_grad():
        for name, tensor in folded.items():
            model.get_parameter(name).copy_(tensor)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of a whole set of tensors; for a version of a base see `LoadedBase.digest_with`."""
    return digests.digest_of(digests.hash_tensors(tensors))


def _linear(model: nn.Module, module: str, change: ModuleDelta) -> nn.Linear:
    try:
        linear = model.get_submodule(module)
    except AttributeError as error:
        raise CorruptError(f"the base model has no module {module!r}") from error
    if not is_linear(linear) or tuple(outputs_first(linear, linear.weight).shape) != change.shape:
        raise CorruptError(f"the delta of {module!r} does not have its weight's shape")
    return linear


def _widened(linear: nn.Linear) -> Tensor:
    """Return a copy of the weight, ``[out, in]``, in fp32 or wider."""
    weight_OI = outputs_first(linear, linear.weight.detach())
    wide = torch.promote_types(weight_OI.dtype, torch.float32)
    return weight_OI.to(wide, copy=True, memory_format=torch.contiguous_format)


def _cast(sum_OI: Tensor, linear: nn.Linear, dtype: torch.dtype | None) -> Tensor:
    """Return a sum in the layer's own layout, cast."""
    return outputs_first(linear, sum_OI).to(dtype or linear.weight.dtype).contiguous()


def _add(total: Tensor, change: ModuleDelta) -> Tensor:
    total = total.to(torch.promote_types(total.dtype, change.values.dtype))
    values = change.values.to(device=total.device, dtype=total.dtype)
    if change.indices is None:
        return total.add_(values)
    total.view(-1).index_add_(0, change.indices.to(total.device).long(), values)
    return total
