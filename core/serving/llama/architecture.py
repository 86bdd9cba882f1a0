"""Which networks `core.serving.llama` computes itself: those of which it knows every part, and no other.

What is decided here is whether a network is exactly transformers' `LlamaForCausalLM`, made of the parts that this
package computes. Anything unknown means no: the network is then run by transformers.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

_KNOWN_PARTS: Final = {
    "LlamaForCausalLM",
    "LlamaModel",
    "LlamaDecoderLayer",
    "LlamaAttention",
    "LlamaMLP",
    "LlamaRMSNorm",
    "LlamaRotaryEmbedding",
    "Embedding",
    "Linear",
    "ModuleList",
}
# Activations are told by their module; transformers has more than one for this one.
_SILU: Final = {"SiLU", "SiLUActivation"}
# Rotations whose frequencies do not depend on how long the text is.
_FIXED_ROTATIONS: Final = {"default", "linear", "llama3"}
_DTYPES: Final = {torch.float32, torch.bfloat16, torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    """Sizes of a network: ``heads`` queries share ``kv_heads`` keys and values, each of ``head_size`` numbers."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    context_tokens: int
    norm_epsilon: float
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_size * self.dtype.itemsize


def shape_of(model: Any) -> LlamaShape | None:
    """Return the sizes of a network that this package computes, or None."""
    if type(model).__name__ != "LlamaForCausalLM" or type(model).__module__.partition(".")[0] != "transformers":
        return None
    config = model.config
    weights = {(weight.dtype, weight.device) for weight in model.parameters()}
    known = (
        {type(module).__name__ for module in model.modules()} <= _KNOWN_PARTS | _SILU
        and {type(layer.mlp.act_fn).__name__ for layer in model.model.layers} <= _SILU
        and (config.rope_parameters or {}).get("rope_type") in _FIXED_ROTATIONS
        and config.num_attention_heads % config.num_key_value_heads == 0
        and not _has_hooks(model)
        and len(weights) == 1
    )
    if not known:
        return None
    ((dtype, device),) = weights
    if dtype not in _DTYPES:
        return None
    return LlamaShape(
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=config.head_dim,
        context_tokens=config.max_position_embeddings,
        norm_epsilon=config.rms_norm_eps,
        dtype=dtype,
        device=device,
    )


def _has_hooks(model: nn.Module) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())  # noqa: SLF001 - there is no other way to ask
