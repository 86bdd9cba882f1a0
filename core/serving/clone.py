"""Copies of a network that share every tensor: only its structure is new."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn


def with_weights(model: Any, folded: Mapping[str, Tensor]) -> Any:
    """Return a copy of ``model``'s structure that shares all its tensors but those named in ``folded``.

    ``model`` itself is untouched. Names are ``<module>.weight``.
    """
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in _tensors_of(model)})
    for name, tensor in folded.items():
        module, _, attribute = name.rpartition(".")
        parameter = twin.get_parameter(name)
        # The owner's table is set, not the tensor's data: the parameter object is the other network's too.
        fresh = nn.Parameter(tensor.to(device=parameter.device, dtype=parameter.dtype), requires_grad=False)
        setattr(twin.get_submodule(module), attribute, fresh)
    return twin


def storage_bytes(models: Iterable[nn.Module]) -> int:
    """Return the bytes of all tensors of ``models``, each storage counted once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for model in models
        for tensor in _tensors_of(model)
    }
    return sum(storages.values())


def _tensors_of(model: nn.Module) -> list[Tensor]:
    """Return parameters and buffers, and tensors that modules hold as plain attributes (rotary tables, for one)."""
    plain = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return [*model.parameters(), *model.buffers(), *plain]
