import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.learning.adapters.jumplora.layer import JumpLoraLinear
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from tests.unit.core.learning.naive import naive_update

BANDWIDTH = 1e-2
GATES = [0.0, 0.3, 1.0]


def layer_of(*, tau: float, f: float, dtype: torch.dtype = torch.float64, dropout: float = 0.0) -> JumpLoraLinear:
    torch.manual_seed(1)
    base = nn.Linear(12, 9, dtype=dtype).requires_grad_(requires_grad=False)
    config = JumpLoraConfig(r=3, lora_alpha=6, bandwidth=BANDWIDTH, interpolation=f, lora_dropout=dropout)
    layer = JumpLoraLinear(base, "default", config=config, r=3, lora_alpha=6)
    with torch.no_grad():
        layer.lora_A["default"].weight.normal_(std=0.1)
        layer.lora_B["default"].weight.normal_(std=0.1)
        layer.lora_log_threshold["default"].fill_(torch.tensor(tau, dtype=torch.float64).log())
    return layer


def naive_run(layer: JumpLoraLinear, x: Tensor, *, f: float) -> tuple[Tensor, list[Tensor]]:
    a, b, theta = (
        tensor.detach().double().clone().requires_grad_()
        for tensor in (
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
            layer.lora_log_threshold["default"],
        )
    )
    x = x.detach().double().clone().requires_grad_()
    base = layer.get_base_layer()
    update = naive_update(a, b, theta, scale=2.0, f=f, bandwidth=BANDWIDTH)
    y = functional.linear(x, base.weight.double() + update, base.bias.double())
    y.cos().sum().backward()
    return y, [tensor.grad for tensor in (x, a, b, theta)]  # type: ignore[misc]


def run(layer: JumpLoraLinear, x: Tensor) -> tuple[Tensor, list[Any]]:
    x = x.clone().requires_grad_()
    y = layer(x)
    y.float().double().cos().sum().backward() if y.dtype is torch.bfloat16 else y.cos().sum().backward()
    factors = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    return y, [tensor.grad for tensor in (x, *factors, layer.lora_log_threshold["default"])]


@pytest.mark.parametrize("f", GATES)
# The last three lie under half the bandwidth, where the two windows overlap around zero.
@pytest.mark.parametrize("tau", [0.02, 0.01, BANDWIDTH / 2, 0.004, 0.001, 1e-12])
def test_forward_and_every_gradient_are_those_of_the_formulas(tau: float, f: float) -> None:
    layer = layer_of(tau=tau, f=f)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    y, gradients = run(layer, x)
    expected_y, expected = naive_run(layer, x, f=f)
    torch.testing.assert_close(y, expected_y)
    for got, want in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("f", [0.3, 1.0])
def test_the_windows_are_not_empty_in_these_tests(f: float) -> None:
    for tau in (0.02, 0.004):
        *_, slope = run(layer_of(tau=tau, f=f), torch.randn(2, 5, 12, dtype=torch.float64))[1]
        assert slope.abs() > 1e-6


@pytest.mark.parametrize("f", GATES)
def test_the_composed_path_is_the_fused_one(f: float) -> None:
    fused, composed = layer_of(tau=0.01, f=f), layer_of(tau=0.01, f=f)
    # A base that wants gradients is none of the fused path's business.
    composed.get_base_layer().requires_grad_(requires_grad=True)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    (y, gradients), (other_y, others) = run(fused, x), run(composed, x)
    torch.testing.assert_close(y, other_y)
    for got, want in zip(gradients, others, strict=True):
        torch.testing.assert_close(got, want)


def test_an_open_gate_is_plain_lora_and_gives_theta_zeros() -> None:
    layer = layer_of(tau=0.5, f=0.0)
    x = torch.randn(3, 12, dtype=torch.float64)
    y, gradients = run(layer, x)
    plain = layer.base_layer(x) + 2.0 * layer.lora_B["default"](layer.lora_A["default"](x))
    torch.testing.assert_close(y, plain)
    assert torch.equal(gradients[3], torch.zeros(1, dtype=torch.float64))


def test_only_inputs_and_parameters_are_kept_for_backward() -> None:
    kept: list[tuple[int, ...]] = []
    layer = layer_of(tau=0.01, f=0.5)
    x = torch.randn(7, 12, dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
        layer(x)
    assert sorted(kept) == sorted([(7, 12), (9, 12), (3, 12), (9, 3), (1,)])


def test_an_entry_at_the_threshold_is_dropped() -> None:
    layer = layer_of(tau=0.25, f=1.0)
    with torch.no_grad():
        layer.lora_A["default"].weight.zero_()
        layer.lora_B["default"].weight.zero_()
        layer.lora_A["default"].weight[0, :2] = torch.tensor([1.0, -1.0])
        layer.lora_B["default"].weight[:3, 0] = torch.tensor([0.25, 0.2500001, 0.3])
        layer.lora_log_threshold["default"].fill_(torch.tensor(0.25, dtype=torch.float64).log())
    update = layer.get_delta_weight("default")
    assert update[0, :2].tolist() == [0.0, 0.0]
    assert update[1:3, :2].abs().min() > 0.5
    assert int(update.count_nonzero()) == 4


def test_the_threshold_meets_the_unscaled_product() -> None:
    layer = layer_of(tau=0.01, f=1.0)
    product = layer.product("default")
    kept = layer.get_delta_weight("default") != 0
    assert torch.equal(kept, product.abs() > layer.tau("default"))


def test_narrow_matrix_products_still_gate_in_fp32() -> None:
    layer = layer_of(tau=0.01, f=1.0, dtype=torch.float32)
    x = torch.randn(4, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype is torch.bfloat16
    y.float().sum().backward()
    wide, _ = naive_run(layer, x, f=1.0)
    torch.testing.assert_close(y.double(), wide, atol=3e-2, rtol=3e-2)
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters() if parameter.requires_grad)


def test_dropout_takes_the_composed_path_and_is_off_in_evaluation() -> None:
    layer, plain = layer_of(tau=0.01, f=0.5, dropout=0.5), layer_of(tau=0.01, f=0.5)
    x = torch.randn(4, 12, dtype=torch.float64)
    torch.testing.assert_close(layer.eval()(x), plain(x))
    assert not torch.allclose(layer.train()(x), plain(x))


@pytest.mark.parametrize("safe", [True, False])
def test_merging_is_the_forward_pass_and_unmerging_undoes_it(safe: bool) -> None:  # noqa: FBT001
    layer = layer_of(tau=0.01, f=1.0)
    x = torch.randn(4, 12, dtype=torch.float64)
    before, weight = layer(x), copy.deepcopy(layer.get_base_layer().weight)
    layer.merge(safe_merge=safe)
    torch.testing.assert_close(layer.base_layer(x), before)
    layer.unmerge()
    torch.testing.assert_close(layer.get_base_layer().weight, weight)
