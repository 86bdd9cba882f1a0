"""A linear layer adapted by JumpLoRA."""

from typing import Any, cast

import torch
from peft.tuners import lora
from peft.tuners.lora.layer import LoraVariant
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from core.learning.adapters.jumplora.gate import Gate, GatedLinear, Tether, gated, product
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.weights.linear import LINEAR, outputs_first


class GatedVariant(LoraVariant):
    """The gate as PEFT's layer calls it: for dropout, several adapters, mixed batches, merging."""

    @staticmethod
    def init(module: "JumpLoraLinear", adapter_name: str, *, config: JumpLoraConfig, **_: Any) -> None:
        """Give the adapter its threshold; the model ties the thresholds of one group to one parameter."""
        weight = module.lora_A[adapter_name].weight
        # Born as fp32, then widened: the published code's start is an fp32 number in every precision.
        start = torch.tensor([config.initial_log_threshold], dtype=torch.float32)
        device = "cpu" if weight.is_meta else weight.device
        module.lora_log_threshold[adapter_name] = nn.Parameter(start.to(device, weight.dtype))
        module.bandwidth[adapter_name] = config.bandwidth
        module.interpolation[adapter_name] = config.interpolation

    @staticmethod
    def forward(module: "JumpLoraLinear", active_adapter: str, x: Tensor, result: Tensor, **_: Any) -> Tensor:
        """Return ``result`` and the adapter's own output on ``x``."""
        x = module.lora_dropout[active_adapter](x)
        if module.interpolation[active_adapter] == 0:
            return result + module.plain(active_adapter, x)
        b_OR, a_RI = module.lora_B[active_adapter].weight, module.lora_A[active_adapter].weight
        wide = torch.promote_types(b_OR.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            delta_OI = b_OR.to(wide) @ a_RI.to(wide)
        update_OI = cast(
            "Tensor",
            Gate.apply(
                delta_OI,
                module.lora_log_threshold[active_adapter],
                module.interpolation[active_adapter],
                module.bandwidth[active_adapter],
            ),
        )
        return result + functional.linear(x, (update_OI * module.scaling[active_adapter]).to(x.dtype))

    @staticmethod
    def merge_safe(module: "JumpLoraLinear", active_adapter: str, orig_weight: Tensor) -> Tensor:
        """Return the merged weight in a new tensor."""
        return orig_weight + module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def merge_unsafe(module: "JumpLoraLinear", active_adapter: str, orig_weight: Tensor) -> None:
        """Merge in place."""
        orig_weight.data += module.get_delta_weight(active_adapter).to(orig_weight.dtype)

    @staticmethod
    def unmerge(module: "JumpLoraLinear", active_adapter: str, orig_weight: Tensor) -> Tensor:
        """Return the weight without the adapter's update."""
        return orig_weight - module.get_delta_weight(active_adapter).to(orig_weight.dtype)


class JumpLoraLinear(lora.Linear):
    """``torch.nn.Linear``, or transformers' ``Conv1D``, with a gated low-rank update.

    Attributes:
        lora_log_threshold: theta of each adapter, shape ``[1]``; one parameter object for all layers of a group.
        bandwidth: eps of each adapter.
        interpolation: f of each adapter, 0 to 1.
    """

    adapter_layer_names = (*lora.LoraLayer.adapter_layer_names, "lora_log_threshold")
    other_param_names = (*lora.LoraLayer.other_param_names, "bandwidth", "interpolation")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: JumpLoraConfig, **kwargs: Any) -> None:
        # update_layer(), which the parent's constructor calls, fills these; a module takes parameters only once
        # nn.Module's own constructor has run, which the parent's does first.
        self.__dict__["bandwidth"], self.__dict__["interpolation"] = {}, {}
        super().__init__(base_layer, adapter_name, config=config, **kwargs)
        # The layer's type says how its weight lies; what the configuration says would hold for all targets alike.
        self.fan_in_fan_out = isinstance(self.get_base_layer(), Conv1D)

    def update_layer(self, adapter_name: str, r: int, lora_alpha: int, config: JumpLoraConfig, **kwargs: Any) -> None:
        """Add an adapter to this layer."""
        if not hasattr(self, "lora_log_threshold"):
            self.lora_log_threshold = nn.ParameterDict({})
        super().update_layer(adapter_name, r, lora_alpha=lora_alpha, config=config, **kwargs)

    @property
    def lora_variants(self) -> dict[tuple[str, ...], type[LoraVariant]]:
        """PEFT's table of variants: this layer has but one."""
        return {("use_jumplora",): GatedVariant}

    def product(self, adapter: str) -> Tensor:
        """Return the unscaled, ungated product ``B A``, shape ``[out, in]``, detached, fp32 or wider."""
        return product(self.lora_B[adapter].weight, self.lora_A[adapter].weight)

    def tau(self, adapter: str) -> float:
        """Return the threshold itself."""
        return float(self.lora_log_threshold[adapter].detach().exp())

    def gated_update(self, adapter: str, *, interpolation: float | None = None) -> Tensor:
        """Return ``s gain Delta``, detached; by default at the layer's own interpolation."""
        f = self.interpolation[adapter] if interpolation is None else interpolation
        update_OI = gated(self.product(adapter), self.tau(adapter), f)
        return update_OI.mul_(self.scaling[adapter])

    def get_delta_weight(self, adapter: str) -> Tensor:
        """Return what merging adds to the weight, in the weight's own layout, as PEFT asks for it."""
        update_OI = self.gated_update(adapter).to(self.lora_B[adapter].weight.dtype)
        return outputs_first(self.get_base_layer(), update_OI)

    def plain(self, adapter: str, x: Tensor) -> Tensor:
        """Return plain LoRA's output: what the gate lets through while it is open. No O x I tensor is formed."""
        down = functional.linear(x, self.lora_A[adapter].weight)
        down = cast("Tensor", Tether.apply(down, self.lora_log_threshold[adapter]))
        up: Tensor = functional.linear(down, self.lora_B[adapter].weight)
        return up * float(self.scaling[adapter])

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the adapted output; one active, unmerged adapter over a dense base goes the fused way."""
        adapter = self._fusible_adapter(kwargs)
        if adapter is None:
            return cast("Tensor", super().forward(x, *args, **kwargs))
        base = self.get_base_layer()
        return cast(
            "Tensor",
            GatedLinear.apply(
                x,
                outputs_first(base, base.weight),
                base.bias,
                self.lora_A[adapter].weight,
                self.lora_B[adapter].weight,
                self.lora_log_threshold[adapter],
                self.scaling[adapter],
                self.interpolation[adapter],
                self.bandwidth[adapter],
            ),
        )

    def _fusible_adapter(self, kwargs: dict[str, Any]) -> str | None:
        """Return the one adapter that `GatedLinear` may serve now, if there is one."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        if self.disable_adapters or self.merged or kwargs.get("adapter_names") is not None or len(active) != 1:
            return None
        gate_open = self.interpolation[active[0]] == 0
        dropout = not isinstance(self.lora_dropout[active[0]], nn.Identity)
        base = self.get_base_layer()
        frozen = all(not parameter.requires_grad for parameter in base.parameters())
        return None if gate_open or dropout or not frozen or type(base) not in LINEAR else active[0]
