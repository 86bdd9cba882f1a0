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
of the matrix products. The fused layer goes over the O x I entries in blocks of rows that stay in a core's cache while
all element-wise passes touch them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from core.learning.adapters.factors import row_blocks
from core.learning.adapters.jumplora.scratch import scratch


def product(b_OR: Tensor, a_RI: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return ``B A`` in fp32, or wider where the factors are; in ``out`` if there is one of that type."""
    wide = torch.promote_types(b_OR.dtype, torch.float32)
    with torch.autocast(b_OR.device.type, enabled=False):
        return torch.mm(b_OR.detach().to(wide), a_RI.detach().to(wide), out=out)


def gated(delta_OI: Tensor, tau: float, interpolation: float, *, out: Tensor | None = None) -> Tensor:
    """Return ``gain * Delta``: entries up to ``tau`` in magnitude shrink by ``interpolation``; not in place."""
    sparse_OI = torch.empty_like(delta_OI) if out is None else out
    torch.ops.aten.hardshrink.out(delta_OI, tau, out=sparse_OI)
    return sparse_OI if interpolation == 1 else torch.lerp(delta_OI, sparse_OI, interpolation, out=sparse_OI)


def gated_gradient(
    grad_OI: Tensor, delta_OI: Tensor, tau: float, interpolation: float, *, out: Tensor | None = None
) -> Tensor:
    """Return ``gain * G``, the gradient with respect to Delta; not in place."""
    sparse_OI = torch.empty_like(grad_OI) if out is None else out
    torch.ops.aten.hardshrink_backward.grad_input(grad_OI, delta_OI, tau, grad_input=sparse_OI)
    return sparse_OI if interpolation == 1 else torch.lerp(grad_OI, sparse_OI, interpolation, out=sparse_OI)


def threshold_gradient(grad_OI: Tensor, delta_OI: Tensor, tau: float, interpolation: float, bandwidth: float) -> Tensor:
    """Return dL/dtheta of one layer as a scalar tensor."""
    return _slope(
        _windows(grad_OI, delta_OI, tau, bandwidth, torch.empty_like(grad_OI)) / delta_OI.numel(),
        tau,
        interpolation,
        bandwidth,
    )


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
        effective_OI = scratch("effective", (len(weight_OI), weight_OI.shape[1]), dtype=dtype, device=x.device)
        tau = float(theta.exp())
        with torch.autocast(device, enabled=False):
            for rows in row_blocks(weight_OI):
                delta_OI, update_OI = _two(b_OR[rows], a_RI)
                gated(product(b_OR[rows], a_RI, out=delta_OI), tau, interpolation, out=update_OI)
                torch.add(weight_OI[rows], update_OI, alpha=scale, out=effective_OI[rows])
            return functional.linear(x, effective_OI, None if bias_O is None else bias_O.to(dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, A, B and theta; W and b are frozen."""
        x, weight_OI, a_RI, b_OR, theta = ctx.saved_tensors
        (grad,), tau, f = grads, float(theta.exp()), ctx.interpolation
        wide = torch.promote_types(b_OR.dtype, torch.float32)
        # Activation checkpointing lets saved tensors be unpacked once alone.
        type_a, type_b = a_RI.dtype, b_OR.dtype
        a_RI, b_OR = a_RI.detach().to(wide), b_OR.detach().to(wide)
        shape, device = (len(weight_OI), weight_OI.shape[1]), grad.device
        gradient_OI = scratch("gradient", shape, dtype=grad.dtype, device=device)
        gradient_OI = torch.mm(grad.reshape(-1, shape[0]).T, x.reshape(-1, shape[1]), out=gradient_OI).to(wide)
        effective_OI = scratch("effective", shape, dtype=grad.dtype, device=device) if ctx.needs_input_grad[0] else None
        grad_a, grad_b, windows = torch.zeros_like(a_RI), torch.empty_like(b_OR), []
        a_IR = a_RI.T.contiguous()
        for rows in row_blocks(weight_OI):
            delta_OI, block_OI = _two(b_OR[rows], a_RI)
            product(b_OR[rows], a_RI, out=delta_OI)
            windows.append(_windows(gradient_OI[rows], delta_OI, tau, ctx.bandwidth, block_OI))
            gated_gradient(gradient_OI[rows], delta_OI, tau, f, out=block_OI)
            grad_a.addmm_(b_OR[rows].T, block_OI, alpha=ctx.scale)
            torch.mm(block_OI, a_IR, out=grad_b[rows])
            if effective_OI is not None:
                gated(delta_OI, tau, f, out=block_OI)
                torch.add(weight_OI[rows], block_OI, alpha=ctx.scale, out=effective_OI[rows])
        grad_x = None if effective_OI is None else grad @ effective_OI
        mean = torch.stack(windows).sum() * (ctx.scale / weight_OI.numel())
        slope = _slope(mean, tau, f, ctx.bandwidth).to(theta.dtype).reshape(theta.shape)
        grad_a, grad_b = grad_a.to(type_a), grad_b.mul_(ctx.scale).to(type_b)
        return grad_x, None, None, grad_a, grad_b, slope, None, None, None


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


def _two(b_OR: Tensor, a_RI: Tensor) -> tuple[Tensor, Tensor]:
    """Return memory for the product of the factors, and for what is made of it entry by entry."""
    wide = torch.promote_types(b_OR.dtype, torch.float32)
    first, second = (
        scratch(name, (len(b_OR), a_RI.shape[1]), dtype=wide, device=b_OR.device) for name in ("delta", "block")
    )
    return first, second


def _windows(grad_OI: Tensor, delta_OI: Tensor, tau: float, bandwidth: float, held_OI: Tensor) -> Tensor:
    """Return the sum of G around tau less that around -tau; both windows are open intervals."""
    half, inside = bandwidth / 2, torch.ops.aten.hardtanh_backward.grad_input
    over: Tensor = inside(grad_OI, delta_OI, tau - half, tau + half, grad_input=held_OI).sum()
    under: Tensor = inside(grad_OI, delta_OI, -tau - half, -tau + half, grad_input=held_OI).sum()
    return over - under


def _slope(mean: Tensor, tau: float, interpolation: float, bandwidth: float) -> Tensor:
    return mean * (-(tau * tau) / bandwidth * interpolation)
