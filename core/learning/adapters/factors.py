"""The two thin factors of a low-rank update ``s B A``, and gradients that reach them from the update.

Shapes: R rank, I inputs, O outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from peft.tuners import lora
from torch import Tensor, nn

ALL_ROWS: Final = slice(None)
# 4 MiB in fp32: large enough for every core to take part in one operation, small beside a large layer.
_BLOCK_ENTRIES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Factors:
    """The parameters A and B of one layer, and the scale of their product."""

    a_RI: nn.Parameter
    b_OR: nn.Parameter
    scale: float

    @classmethod
    def of(cls, layer: lora.LoraLayer, adapter: str = "default") -> "Factors":
        """Return the factors of a layer of PEFT's."""
        return cls(layer.lora_A[adapter].weight, layer.lora_B[adapter].weight, float(layer.scaling[adapter]))

    def add_update_gradient(self, gradient_OI: Tensor, rows: slice = ALL_ROWS, *, weight: float = 1.0) -> None:
        """Add ``s B' G`` to A's and ``s G A'`` to B's ``.grad``, for a gradient ``G`` of ``rows`` of ``s B A``.

        G is ``weight gradient_OI``.
        """
        scale = self.scale * weight
        a_RI, b_OR = (factor.detach().to(gradient_OI.dtype) for factor in (self.a_RI, self.b_OR))
        grad_OR = torch.zeros_like(b_OR)
        grad_OR[rows] = scale * (gradient_OI @ a_RI.T)
        self.add_gradients(scale * (b_OR[rows].T @ gradient_OI), grad_OR)

    def add_gradients(self, grad_RI: Tensor | None, grad_OR: Tensor | None = None) -> None:
        """Add to A's and to B's ``.grad``."""
        for parameter, gradient in ((self.a_RI, grad_RI), (self.b_OR, grad_OR)):
            if gradient is not None:
                add_gradient(parameter, gradient)


def add_gradient(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add to a parameter's ``.grad``, in the parameter's type."""
    gradient = gradient.to(parameter.dtype)
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad.add_(gradient)


def row_blocks(matrix_OI: Tensor) -> Iterator[slice]:
    """Yield slices of rows that cover the matrix; on an accelerator one, where launches cost more than memory."""
    rows, columns = matrix_OI.shape
    step = max(1, _BLOCK_ENTRIES // columns) if matrix_OI.device.type == "cpu" else rows
    for first in range(0, rows, step):
        yield slice(first, first + step)
