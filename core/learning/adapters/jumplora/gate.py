"""The gate on single entries of the low-rank product, and its gradients (JumpLoRA, arXiv 2604.16171, section 3).

    Delta = B A                       tau = exp(theta)
    keep  = |Delta| > tau             gain = 1 - f (not keep)
    y     = x (W + s gain Delta)' + b

With G the loss's gradient with respect to the scaled update, times s:

    dDelta = G gain
    dtheta = -(tau^2 / eps) f mean( rect((Delta - tau) / eps) G - rect((-Delta - tau) / eps) G )

where rect(u) is 1 for -1/2 < u < 1/2. The mean over the layer's entries is deliberate, and both windows are needed:
they overlap while tau < eps / 2. Entries that the gate drops get no gradient from the sparse branch.

Shapes: N tokens, I inputs, O outputs, R rank. The product is formed and compared in fp32 or wider, whatever the type
of the matrix products. Only `hardshrink` and `hardtanh_backward` touch all O x I entries, one pass each.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def product(b_OR: Tensor, a_RI: Tensor) -> Tensor:
    """Return ``B A`` in fp32, or wider where the factors are."""
    wide = torch.promote_types(b_OR.dtype, torch.float32)
    with torch.autocast(b_OR.device.type, enabled=False):
        return b_OR.detach().to(wide) @ a_RI.detach().to(wide)


def gated(delta_OI: Tensor, tau: float, interpolation: float) -> Tensor:
    """Return ``gain * Delta``: entries up to ``tau`` in magnitude shrink by ``interpolation``, in a new tensor."""
    sparse_OI = functional.hardshrink(delta_OI, tau)
    return sparse_OI if interpolation == 1 else torch.lerp(delta_OI, sparse_OI, interpolation)


def gated_gradient(grad_OI: Tensor, delta_OI: Tensor, tau: float, interpolation: float) -> Tensor:
    """Return ``gain * G``, the gradient with respect to Delta, in a new tensor."""
    sparse_OI: Tensor = torch.ops.aten.hardshrink_backward(grad_OI, delta_OI, tau)
    return sparse_OI if interpolation == 1 else torch.lerp(grad_OI, sparse_OI, interpolation)


def threshold_gradient(grad_OI: Tensor, delta_OI: Tensor, tau: float, interpolation: float, bandwidth: float) -> Tensor:
    """Return dL/dtheta of one layer as a scalar tensor; the two windows are open intervals around tau and -tau."""
    half = bandwidth / 2
    over: Tensor = torch.ops.aten.hardtanh_backward(grad_OI, delta_OI, tau - half, tau + half).sum()
    under: Tensor = torch.ops.aten.hardtanh_backward(grad_OI, delta_OI, -tau - half, -tau + half).sum()
    return (over - under) * (-(tau * tau) / bandwidth * interpolation / delta_OI.numel())


class Gate(torch.autograd.Function):
    """``gain * Delta`` as a differentiable function of Delta and theta: the path for dropout and several adapters."""

    @staticmethod
    def forward(ctx: Any, delta_OI: Tensor, theta: Tensor, interpolation: float, bandwidth: float) -> Tensor:
        """Gate ``delta_OI``; theta has one element."""
        ctx.save_for_backward(delta_OI, theta)
        ctx.interpolation, ctx.bandwidth = interpolation, bandwidth
        return gated(delta_OI, float(theta.exp()), interpolation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Return the gradients of Delta and theta."""
        delta_OI, theta = ctx.saved_tensors
        tau, (grad_OI,) = float(theta.exp()), grads
        slope = threshold_gradient(grad_OI, delta_OI, tau, ctx.interpolation, ctx.bandwidth)
        gradient_OI = gated_gradient(grad_OI, delta_OI, tau, ctx.interpolation)
        return gradient_OI, slope.to(theta.dtype).reshape(theta.shape), None, None


class GatedLinear(torch.autograd.Function):
    """The whole adapted layer in one matrix product forward and two backward.

    Only x, W, A, B and theta are kept for backward: the product is formed again there, at R/N of a product's cost.
    """

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - an autograd function takes all it differentiates by position
        ctx: Any,
        x: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        a_RI: Tensor,
        b_OR: Tensor,
        theta: Tensor,
        scale: float,
        interpolation: float,
        bandwidth: float,
    ) -> Tensor:
        """Return ``x (W + s gain Delta)' + b`` in x's type, or in autocast's."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        x = x.to(dtype)
        ctx.save_for_backward(x, weight_OI, a_RI, b_OR, theta)
        ctx.scale, ctx.interpolation, ctx.bandwidth = scale, interpolation, bandwidth
        effective_OI = _effective(weight_OI, product(b_OR, a_RI), float(theta.exp()), interpolation, scale).to(dtype)
        with torch.autocast(device, enabled=False):
            return functional.linear(x, effective_OI, None if bias_O is None else bias_O.to(dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, A, B and theta; W and b are frozen."""
        x, weight_OI, a_RI, b_OR, theta = ctx.saved_tensors
        (grad,) = grads
        tau, f = float(theta.exp()), ctx.interpolation
        delta_OI = product(b_OR, a_RI)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ _effective(weight_OI, delta_OI, tau, f, ctx.scale).to(grad.dtype)
        grad_NO, x_NI = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
        update_OI = (grad_NO.T @ x_NI).to(delta_OI.dtype)
        slope = threshold_gradient(update_OI, delta_OI, tau, f, ctx.bandwidth) * ctx.scale
        gradient_OI = gated_gradient(update_OI, delta_OI, tau, f)
        grad_a = (b_OR.to(gradient_OI.dtype).T @ gradient_OI).mul_(ctx.scale).to(a_RI.dtype)
        grad_b = (gradient_OI @ a_RI.to(gradient_OI.dtype).T).mul_(ctx.scale).to(b_OR.dtype)
        return grad_x, None, None, grad_a, grad_b, slope.to(theta.dtype).reshape(theta.shape), None, None, None


class Tether(torch.autograd.Function):
    """The identity, which gives theta a gradient of zeros.

    While the gate is open the forward pass is plain LoRA; theta must still get a zero tensor, never None: else Adam's
    step count falls behind and distributed training finds an unused parameter.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, theta: Tensor) -> Tensor:
        """Return ``value``."""
        ctx.save_for_backward(theta)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Pass the gradient on, and zeros to theta."""
        (theta,) = ctx.saved_tensors
        return grads[0], torch.zeros_like(theta)


def _effective(weight_OI: Tensor, delta_OI: Tensor, tau: float, interpolation: float, scale: float) -> Tensor:
    return torch.add(weight_OI.to(delta_OI.dtype), gated(delta_OI, tau, interpolation), alpha=scale)
