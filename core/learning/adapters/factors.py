"""From a gradient with respect to a layer's scaled update ``s B A`` to the gradients of its factors."""

from peft.tuners import lora
from torch import Tensor, nn


def add_factor_gradients(layer: lora.LoraLayer, gradient_OI: Tensor, adapter: str = "default") -> None:
    """Add ``s B' G`` to A's and ``s G A'`` to B's ``.grad``."""
    a_RI, b_OR = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    scale = layer.scaling[adapter]
    _add(a_RI, scale * (b_OR.detach().to(gradient_OI.dtype).T @ gradient_OI))
    _add(b_OR, scale * (gradient_OI @ a_RI.detach().to(gradient_OI.dtype).T))


def _add(parameter: nn.Parameter, gradient: Tensor) -> None:
    gradient = gradient.to(parameter.dtype)
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad.add_(gradient)
