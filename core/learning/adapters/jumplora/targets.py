"""Which layers of a model the tuner may adapt. All is judged before anything of the model is replaced."""

from collections.abc import Iterator
from typing import Final

from peft.tuners.tuners_utils import BaseTunerLayer, check_target_module_exists
from peft.utils.other import get_pattern_key
from torch import nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.weights.linear import LINEAR, is_linear, tied

_ALL_LINEAR: Final = "all-linear"
_EXAMPLES: Final = 5


def require_adaptable(model: nn.Module, config: JumpLoraConfig) -> None:
    """Write out ``all-linear`` in ``config``, and check every module that its targets name.

    ``all-linear`` means every linear layer but the output head and those that share their weight with another module.

    Raises:
        ValueError: the targets name no module, or one that is no dense linear layer, is quantised, shares its weight
            with another module, or is smaller than the rank; or the model is sharded. The model is as it was.
    """
    if any(isinstance(module, (FSDPModule, FullyShardedDataParallel)) for module in model.modules()):
        raise ValueError("JumpLoRA needs whole weights, and FSDP shards them: train on one device, or with DDP")
    modules, shared = dict(_modules(model)), tied(model)
    if isinstance(config.target_modules, str) and config.target_modules.lower() == _ALL_LINEAR:
        config.target_modules = _all_linear(model, modules, shared)
    targets = {name: module for name, module in modules.items() if check_target_module_exists(config, name)}
    if not targets:
        raise ValueError(f"target_modules name no module of the model; its linear layers end in {_examples(modules)}")
    for name, module in targets.items():
        linear = dense_linear(name, module)
        if shared.intersection((name, f"{name}.base_layer")):
            raise ValueError(
                f"the weight of {name!r} is another module's too, which an adapter would change with it: leave it out "
                "of target_modules, or load the model with tie_word_embeddings=False"
            )
        _require_rank(name, linear, config)


def dense_linear(name: str, module: nn.Module) -> nn.Linear:
    """Return a layer that is ``torch.nn.Linear`` or transformers' ``Conv1D`` itself, with a weight of floats.

    Raises:
        ValueError: it is another, or quantised.
    """
    kind = type(module)
    if kind.__module__.startswith("bitsandbytes") or (is_linear(module) and not module.weight.is_floating_point()):
        raise ValueError(
            f"{name!r} is quantised ({kind.__name__}), and the gate's update cannot be merged into it without loss: "
            "load the base model without a quantization_config, for example in bf16"
        )
    if not is_linear(module) or kind not in LINEAR:
        raise ValueError(
            f"JumpLoRA adapts torch.nn.Linear and transformers' Conv1D, and {name!r} is {kind.__name__}: "
            "name other target_modules"
        )
    return module


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the model's own modules by name: what an adapter wraps in its place, and nothing of the adapter."""
    wrapped: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if name and not name.startswith(wrapped):
            if isinstance(module, BaseTunerLayer):
                wrapped += (f"{name}.",)
                yield name, module.get_base_layer()
            else:
                yield name, module


def _all_linear(model: nn.Module, modules: dict[str, nn.Module], shared: set[str]) -> set[str]:
    find_head = getattr(model, "get_output_embeddings", None)
    head = find_head() if find_head else None
    return {name for name, module in modules.items() if is_linear(module) and module is not head and name not in shared}


def _require_rank(name: str, linear: nn.Linear, config: JumpLoraConfig) -> None:
    rank = config.rank_pattern.get(get_pattern_key(config.rank_pattern, name), config.r)
    smallest = min(linear.weight.shape)
    if rank > smallest:
        raise ValueError(f"rank {rank} is over the smaller dimension {smallest} of {name!r}: lower r, or leave it out")


def _examples(modules: dict[str, nn.Module]) -> str:
    ends = dict.fromkeys(name.rsplit(".", 1)[-1] for name, module in modules.items() if is_linear(module))
    return ", ".join(list(ends)[:_EXAMPLES]) or "nothing: it has none"
