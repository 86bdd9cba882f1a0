"""JumpLoRA as a PEFT tuner: shared thresholds, their start, the gate's interpolation; and its registration."""

import math
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import peft.mapping
import torch
from peft.tuners.lora import LoraModel
from torch import Tensor, nn

from core.learning.adapters.jumplora.layer import JumpLoraLinear
from core.learning.adapters.jumplora.peft_config import JUMPLORA, JumpLoraConfig
from core.learning.adapters.jumplora.targets import dense_linear, require_adaptable
from core.learning.adapters.jumplora.threshold_start import (
    kth_smallest_magnitude,
    magnitude_above,
    sampled_magnitude,
    sampled_products,
)

# Shortest prefix that ends in a number: `model.layers.3`, and apart from each other `encoder.block.3`, `decoder.block.3`.
_BLOCK: Final = re.compile(r"(.*?\.\d+)(?:\.|$)")
_SMALLEST: Final = 1e-12
_TILE_ENTRIES: Final = 1 << 20


def block_of(module: str) -> str:
    """Return the transformer block that a module's name lies in; the empty string outside of all blocks."""
    match = _BLOCK.match(module)
    return match.group(1) if match else ""


class JumpLoraModel(LoraModel):
    """The tuner. Its thresholds are shared: all layers of a group hold the same parameter object."""

    def __init__(self, model: nn.Module, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        # safetensors knows no aliases, so a file holds a threshold once a layer; a load by assignment parts them.
        self.register_load_state_dict_post_hook(lambda tuner, _: tuner.tie_all())

    @staticmethod
    def _create_new_module(config: JumpLoraConfig, adapter_name: str, target: nn.Module, **kwargs: Any) -> nn.Module:
        kwargs.pop("device_map", None)
        return JumpLoraLinear(dense_linear(kwargs["target_name"], target), adapter_name, config=config, **kwargs)

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter, and tie its thresholds by group.

        Raises:
            ValueError: the model's layers cannot be adapted as the adapter's configuration says; see `targets`.
        """
        config = self._prepare_adapter_config(self.peft_config[adapter_name], self.get_model_config(model))
        require_adaptable(model, config)
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        self._tie(adapter_name)

    def add_weighted_adapter(self, *_: Any, **__: Any) -> None:
        """Refuse: a mixture of factors is not the mixture of gated updates.

        Raises:
            ValueError: always; add the sparse updates as tensors instead.
        """
        raise ValueError("JumpLoRA adapters cannot be mixed by their factors; add their updates as tensors")

    def adapted(self, adapter: str = "default") -> dict[str, JumpLoraLinear]:
        """Return the adapted layers by module name, in the model's order."""
        return {
            name: module
            for name, module in self.model.named_modules()
            if isinstance(module, JumpLoraLinear) and adapter in module.lora_A
        }

    def groups(self, adapter: str = "default") -> dict[str, list[JumpLoraLinear]]:
        """Return the layers that share a threshold, by group, in order of first appearance."""
        per_block = self.peft_config[adapter].threshold_mode == "per_block"
        groups: dict[str, list[JumpLoraLinear]] = {}
        for name, layer in self.adapted(adapter).items():
            groups.setdefault(block_of(name) if per_block else "", []).append(layer)
        return groups

    def thresholds(self, adapter: str = "default") -> dict[str, nn.Parameter]:
        """Return theta, the log threshold, of each group."""
        return {group: layers[0].lora_log_threshold[adapter] for group, layers in self.groups(adapter).items()}

    def set_interpolation(self, interpolation: float, adapter: str = "default") -> None:
        """Set f on every layer and in the configuration, so that a saved adapter loads as it is."""
        for layer in self.adapted(adapter).values():
            layer.interpolation[adapter] = interpolation
        self.peft_config[adapter].interpolation = interpolation

    @torch.no_grad()
    def start_thresholds(self, adapter: str = "default") -> None:
        """Set each threshold so that about as many entries pass as the group has factor parameters.

        Of N entries and L factor parameters of the group, the k-th smallest |Delta| is taken, k from 1:
        ``max(N - L + 1, 1)`` for the one global group, ``max(N - L, 1)`` for a block (the published code's indices).
        """
        per_block = self.peft_config[adapter].threshold_mode == "per_block"
        for layers in self.groups(adapter).values():
            entries = sum(layer.in_features * layer.out_features for layer in layers)
            factors = sum(layer.r[adapter] * (layer.in_features + layer.out_features) for layer in layers)
            k = max(entries - factors + (0 if per_block else 1), 1)
            theta = layers[0].lora_log_threshold[adapter]
            dtype = torch.promote_types(theta.dtype, torch.float32)
            tau = kth_smallest_magnitude(partial(_tiles, layers, adapter), k, dtype=dtype)
            theta.fill_(torch.tensor(max(tau, _SMALLEST), dtype=dtype).log())

    @torch.no_grad()
    def follow_density(self, density: float, adapter: str = "default", *, exactly: bool = False) -> None:
        """Set each threshold so that the share ``density`` of its group's entries passes.

        Args:
            density: 0 to 1.
            adapter: whose thresholds.
            exactly: looks at every entry, and lets no more than the share pass; otherwise a sample tells.
        """
        for layers in self.groups(adapter).values():
            theta = layers[0].lora_log_threshold[adapter]
            entries = sum(layer.in_features * layer.out_features for layer in layers)
            if exactly:
                dtype = torch.promote_types(theta.dtype, torch.float32)
                tau = magnitude_above(partial(_tiles, layers, adapter), 1 - density, entries=entries, dtype=dtype)
            else:
                tau = sampled_magnitude(
                    partial(sampled_products, _factors(layers, adapter)), 1 - density, entries=entries
                )
            theta.fill_(math.log(max(tau, _SMALLEST)))
            # The logarithm is rounded: upwards, where it must not let more pass.
            while exactly and float(theta.exp()) < tau:
                theta.add_(torch.finfo(theta.dtype).eps * max(abs(float(theta)), 1.0))

    def tie_all(self) -> None:
        """Tie the thresholds of every adapter again, after a load that parted them."""
        for adapter in self.peft_config:
            self._tie(adapter)

    def _tie(self, adapter: str) -> None:
        for layers in self.groups(adapter).values():
            for layer in layers[1:]:
                layer.lora_log_threshold[adapter] = layers[0].lora_log_threshold[adapter]


def register() -> None:
    """Make PEFT know the tuner, so that ``PeftModel.from_pretrained`` loads what it saved; twice does no harm.

    PEFT's own ``register_peft_method`` refuses names outside its enum, so its tables are filled directly. Without this
    registration PEFT fails loudly on such an adapter, with KeyError: 'JUMPLORA'.
    """
    peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING.setdefault(JUMPLORA, JumpLoraConfig)
    peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING.setdefault(JUMPLORA, JumpLoraModel)
    peft.mapping.PEFT_TYPE_TO_PREFIX_MAPPING.setdefault(JUMPLORA, "lora_")


def _factors(layers: list[JumpLoraLinear], adapter: str) -> list[tuple[Tensor, Tensor]]:
    """Return B and A of each layer, fp32 or wider."""
    pairs = [(layer.lora_B[adapter].weight, layer.lora_A[adapter].weight) for layer in layers]
    wide = [torch.promote_types(b_OR.dtype, torch.float32) for b_OR, _ in pairs]
    return [(b_OR.to(dtype), a_RI.to(dtype)) for (b_OR, a_RI), dtype in zip(pairs, wide, strict=True)]


def _tiles(layers: list[JumpLoraLinear], adapter: str) -> Iterator[Tensor]:
    """Yield the products of the layers in tiles of rows, so that a large layer is never whole in memory.

    Tiles of one width stand in the same memory, one after another: look at each before the next.
    """
    held = torch.empty(0)
    for layer in layers:
        b_OR, a_RI = layer.lora_B[adapter].weight, layer.lora_A[adapter].weight
        dtype = torch.promote_types(b_OR.dtype, torch.float32)
        rows = max(1, _TILE_ENTRIES // layer.in_features)
        if held.shape != (rows, layer.in_features):
            held = torch.empty(rows, layer.in_features, dtype=dtype, device=b_OR.device)
        for tile_OR in b_OR.split(rows):
            yield torch.mm(tile_OR.to(dtype), a_RI.to(dtype), out=held[: len(tile_OR)])
