"""Adapters on a tiny model in float64 that have already learned something, and their update by autograd."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from core.learning.adapters.full.config import FullSettings
from core.learning.adapters.full.rule import Full
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.lora.rule import Lora
from core.learning.adapters.port import AdaptedLayer, Adapter
from core.learning.objectives.port import Objective
from tests.unit.core.learning.conftest import llama
from tests.unit.core.learning.naive import naive_update
from tests.unit.core.learning.objectives.test_ella import TARGETS, attached

# Every kind, and the gated one open, half open and closed.
LOW_RANK = [("lora", 0.0), ("jumplora", 0.0), ("jumplora", 0.4), ("jumplora", 1.0)]
EVERY_KIND = [*LOW_RANK, ("full", 0.0)]
SCALE = 4.0


def learned(kind: str, f: float) -> Lora | JumpLora | Full:
    """Return an adapter whose update is not zero."""
    if kind != "full":
        return attached(kind, f=f)
    adapter = Full(FullSettings(target_modules=TARGETS))
    adapter.attach(llama())
    generator = torch.Generator().manual_seed(7)
    for view in adapter.layers().values():
        gained = torch.randn(view.linear.weight.shape, generator=generator, dtype=torch.float64)
        view.linear.weight.data += 0.05 * gained
    return adapter


def parameters(adapter: Adapter) -> Iterator[nn.Parameter]:
    """Yield what learns, without the thresholds."""
    for view in adapter.layers().values():
        if view.factors is None:
            yield view.linear.weight  # type: ignore[attr-defined]
        else:
            yield from (view.factors.a_RI, view.factors.b_OR)


def update_by_autograd(adapter: Adapter, view: AdaptedLayer) -> Tensor:
    """Return the layer's update, written from the formulas, with its graph."""
    if view.factors is None:
        return view.linear.weight - view.start  # type: ignore[attr-defined,no-any-return]
    gated = isinstance(adapter, JumpLora)
    layer = view.layer  # type: ignore[attr-defined]
    theta = layer.lora_log_threshold["default"].detach() if gated else torch.zeros(1)
    f = layer.interpolation["default"] if gated else 0.0
    return naive_update(view.factors.a_RI, view.factors.b_OR, theta, scale=SCALE, f=f, bandwidth=1e-3)


def assert_closed_form(adapter: Adapter, objective: Objective, naive: Callable[[str, AdaptedLayer], Tensor]) -> float:
    """Hold the objective's value and gradients against autograd on the sum of ``naive`` over the layers.

    Returns:
        the value.
    """
    value = objective.add_gradient(adapter.layers())
    got = [parameter.grad for parameter in parameters(adapter)]
    for parameter in parameters(adapter):
        parameter.grad = None
    penalty = torch.stack([naive(name, view) for name, view in adapter.layers().items()]).sum()
    penalty.backward()
    torch.testing.assert_close(torch.tensor(value, dtype=torch.float64), penalty.detach(), rtol=1e-10, atol=0)
    for gradient, parameter in zip(got, parameters(adapter), strict=True):
        wanted = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(torch.zeros_like(parameter) if gradient is None else gradient, wanted)
    if isinstance(adapter, JumpLora):
        assert all(theta.grad is None for theta in adapter.tuner.thresholds().values())
    return value


def assert_untouched(adapter: Adapter) -> None:
    assert all(parameter.grad is None for parameter in parameters(adapter))
