"""Copies of a network that share every tensor: only its structure is new."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn


def with_weights(model: Any, folded: Mapping[str, Tensor]) -> Any:
    """Return a copy of ``model`` that shares all its tensors but those named in ``folded`` (``<module>.weight``).

    Only the modules on the way to a changed weight are copied; all others are the same objects. ``model`` itself is
    untouched.
    """
    owners = {name.rpartition(".")[0] for name in folded}
    twin = copy.deepcopy(model, _shared(model, _with_ancestors(owners)))
    for name, tensor in folded.items():
        parameter = twin.get_parameter(name)
        module, _, attribute = name.rpartition(".")
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


def _with_ancestors(names: Iterable[str]) -> set[str]:
    """Return the names of modules and of all that hold them; the root's is empty."""
    parts = [name.split(".") for name in names]
    return {".".join(path[:depth]) for path in parts for depth in range(len(path) + 1)}


def _shared(model: nn.Module, copied: set[str]) -> dict[int, Any]:
    """Return the memo by which deepcopy takes what is not to be copied as it is, by id."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in _tensors_of(model)}
    for name, module in model.named_modules():
        if name not in copied:
            memo[id(module)] = module
        config = getattr(module, "config", None)
        if config is not None:
            memo[id(config)] = config
    return memo


def _tensors_of(model: nn.Module) -> list[Tensor]:
    """Return parameters and buffers, and tensors that modules hold as plain attributes (rotary tables, for one)."""
    plain = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return [*model.parameters(), *model.buffers(), *plain]
