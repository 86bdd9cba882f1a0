"""The gate written straight from the paper's formulas with autograd, in float64: slow, plain, and shared by no code."""

from typing import Any

import torch
from torch import Tensor


class NaiveJump(torch.autograd.Function):
    """``x`` where it is over ``tau``; the threshold learns through a window, by the mean over the entries."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(x, tau)
        ctx.bandwidth = bandwidth
        return x * (x > tau).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, tau = ctx.saved_tensors
        u = (x - tau) / ctx.bandwidth
        window = ((u > -0.5) & (u < 0.5)).to(x.dtype)
        slope = -(tau / ctx.bandwidth) * (window * grads[0]).mean()
        return grads[0] * (x > tau).to(x.dtype), slope.reshape(tau.shape), None


def naive_update(a: Tensor, b: Tensor, theta: Tensor, *, scale: float, f: float, bandwidth: float) -> Tensor:
    """Return ``s (f jump(BA) + (1 - f) BA)``."""
    delta = b @ a
    if f == 0:
        return scale * delta + 0 * theta
    tau = theta.exp()
    positive: Any = NaiveJump.apply(delta, tau, bandwidth)
    negative: Any = NaiveJump.apply(-delta, tau, bandwidth)
    return scale * (f * (positive - negative) + (1 - f) * delta)
