import pytest
import torch
from torch import Tensor

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from tests.unit.core.learning.conftest import llama
from tests.unit.core.learning.naive import naive_update

TARGETS = ("q_proj", "v_proj")
STRENGTH = 50.0


def attached(kind: str, *, tau: float = 0.02, f: float = 0.0) -> JumpLora | Lora:
    adapter: JumpLora | Lora
    if kind == "lora":
        adapter = Lora(LoraSettings(rank=2, alpha=8, target_modules=TARGETS))
        adapter.attach(llama())
    else:
        adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=TARGETS))
        adapter.attach(llama())
        adapter.tuner.set_interpolation(f)
        for theta in adapter.tuner.thresholds().values():
            theta.data.fill_(torch.tensor(tau, dtype=torch.float64).log())
    for view in adapter.layers().values():
        torch.nn.init.normal_(view.layer.lora_B["default"].weight, std=0.1)
    return adapter


def past_of(adapter: JumpLora | Lora, *, without: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    names = list(adapter.layers())[without:]
    return {
        name: torch.randn(
            adapter.layers()[name].layer.out_features,
            adapter.layers()[name].layer.in_features,
            generator=generator,
            dtype=torch.float64,
        )
        for name in names
    }


def autograd_penalty(adapter: JumpLora | Lora, past: dict[str, Tensor], *, mode: str) -> float:
    """Form the penalty with autograd; its gradients are left in the factors' ``.grad``."""
    penalty = torch.zeros((), dtype=torch.float64)
    for name, past_OI in past.items():
        layer = adapter.layers()[name].layer
        f = layer.interpolation["default"] if isinstance(adapter, JumpLora) else 0.0
        theta = layer.lora_log_threshold["default"] if isinstance(adapter, JumpLora) else torch.zeros(1)
        gate = (1.0 if f > 0 else 0.0) if mode == "sparse" else f
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        update_OI = naive_update(a, b, theta.detach(), scale=4.0, f=gate, bandwidth=1e-3)
        penalty = penalty + (update_OI * past_OI).square().sum()
    penalty = penalty * STRENGTH / len(past)
    penalty.backward()
    return float(penalty.detach())


@pytest.mark.parametrize("mode", ["interpolated", "sparse"])
@pytest.mark.parametrize(("kind", "f"), [("lora", 0.0), ("jumplora", 0.0), ("jumplora", 0.4), ("jumplora", 1.0)])
def test_the_closed_form_is_what_autograd_finds(kind: str, f: float, mode: str) -> None:
    adapter, reference = attached(kind, f=f), attached(kind, f=f)
    for name, view in adapter.layers().items():
        for factor in ("lora_A", "lora_B"):
            weight = getattr(view.layer, factor)["default"].weight
            getattr(reference.layers()[name].layer, factor)["default"].weight.data.copy_(weight)
    past = past_of(adapter, without=1)
    ella = Ella(EllaSettings.model_validate({"strength": STRENGTH, "delta": mode}), w_past=past)
    value = ella.add_gradient(adapter.layers())
    assert value == pytest.approx(autograd_penalty(reference, past, mode=mode), rel=1e-12)
    assert value > 0
    for name, view in adapter.layers().items():
        other = reference.layers()[name].layer
        for factor in ("lora_A", "lora_B"):
            got, want = (
                getattr(view.layer, factor)["default"].weight.grad,
                getattr(other, factor)["default"].weight.grad,
            )
            assert (got is None) == (want is None) == (name not in past)
            if got is not None:
                torch.testing.assert_close(got, want)
        if isinstance(adapter, JumpLora):
            assert view.layer.lora_log_threshold["default"].grad is None


def test_the_gradient_is_added_to_what_is_there() -> None:
    adapter, alone = attached("lora"), attached("lora")
    for name, view in adapter.layers().items():
        view.layer.lora_A["default"].weight.data.copy_(alone.layers()[name].layer.lora_A["default"].weight)
        view.layer.lora_B["default"].weight.data.copy_(alone.layers()[name].layer.lora_B["default"].weight)
        view.layer.lora_A["default"].weight.grad = torch.ones_like(view.layer.lora_A["default"].weight)
    past = past_of(adapter)
    for each in (adapter, alone):
        Ella(EllaSettings(strength=STRENGTH), w_past=past).add_gradient(each.layers())
    for name, view in adapter.layers().items():
        other = alone.layers()[name].layer.lora_A["default"].weight.grad
        torch.testing.assert_close(view.layer.lora_A["default"].weight.grad, other + 1)


@pytest.mark.parametrize("kind", ["lora", "jumplora"])
def test_without_a_past_there_is_no_penalty_and_no_gradient(kind: str) -> None:
    adapter = attached(kind)
    assert Ella(EllaSettings(), w_past={}).add_gradient(adapter.layers()) == 0.0
    assert all(view.layer.lora_A["default"].weight.grad is None for view in adapter.layers().values())


def test_a_strength_of_zero_switches_it_off() -> None:
    adapter = attached("lora")
    assert Ella(EllaSettings(strength=0), w_past=past_of(adapter)).add_gradient(adapter.layers()) == 0.0


def test_a_past_of_zeros_still_counts_as_a_layer() -> None:
    adapter = attached("lora")
    past = past_of(adapter)
    half = {
        name: tensor if number % 2 else torch.zeros_like(tensor) for number, (name, tensor) in enumerate(past.items())
    }
    some = {name: tensor for name, tensor in half.items() if tensor.any()}
    whole = Ella(EllaSettings(strength=STRENGTH), w_past=half).add_gradient(adapter.layers())
    fewer = Ella(EllaSettings(strength=STRENGTH), w_past=some).add_gradient(adapter.layers())
    assert fewer == pytest.approx(2 * whole)
