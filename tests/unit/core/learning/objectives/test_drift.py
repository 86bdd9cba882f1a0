import pytest
import torch

from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.memories.input_moments.config import InputMomentsSettings
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.drift.rule import Drift
from tests.unit.core.learning.conftest import VOCABULARY, llama
from tests.unit.core.learning.merged import Merged
from tests.unit.core.learning.naive import naive_update
from tests.unit.core.learning.objectives.test_ella import attached

STRENGTH = 7.0


def moments_of_a_task(rank: int = 64) -> InputMoments:
    network = llama()
    names = [f"model.layers.{layer}.self_attn.{name}" for layer in range(2) for name in ("q_proj", "v_proj")]
    ids = torch.randint(2, VOCABULARY, (5, 7), generator=torch.Generator().manual_seed(1))
    moments = InputMoments(InputMomentsSettings(rank=rank))
    moments.observe(Merged(network, names, lambda _: network(ids)))
    return moments


@pytest.mark.parametrize(("kind", "f"), [("lora", 0.0), ("jumplora", 0.0), ("jumplora", 0.4), ("jumplora", 1.0)])
def test_the_closed_form_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter, moments = attached(kind, f=f), moments_of_a_task()
    value = Drift(DriftSettings(strength=STRENGTH), input_moments=moments).add_gradient(adapter.layers())
    got = {name: view.layer.lora_B["default"].weight.grad for name, view in adapter.layers().items()}
    penalty = torch.zeros((), dtype=torch.float64)
    for name, view in adapter.layers().items():
        view.layer.lora_B["default"].weight.grad = None
        jump = isinstance(adapter, JumpLora)
        theta = view.layer.lora_log_threshold["default"].detach() if jump else torch.zeros(1)
        a, b = view.layer.lora_A["default"].weight, view.layer.lora_B["default"].weight
        update_OI = naive_update(a, b, theta, scale=4.0, f=f, bandwidth=1e-3)
        moment = moments[name]
        penalty = penalty + (update_OI @ moment.factor_KI.double().T).square().sum() / moment.reach
    penalty = penalty * STRENGTH / len(adapter.layers())
    penalty.backward()
    assert value == pytest.approx(float(penalty.detach()), rel=1e-9)
    assert value > 0
    for name, view in adapter.layers().items():
        torch.testing.assert_close(got[name], view.layer.lora_B["default"].weight.grad)
        if isinstance(adapter, JumpLora):
            assert view.layer.lora_log_threshold["default"].grad is None


def test_without_a_past_there_is_no_penalty() -> None:
    adapter = attached("jumplora")
    assert Drift(DriftSettings(), input_moments=InputMoments()).add_gradient(adapter.layers()) == 0.0
    assert all(view.layer.lora_A["default"].weight.grad is None for view in adapter.layers().values())


def test_an_update_that_earlier_inputs_do_not_see_costs_nothing() -> None:
    adapter, moments = attached("lora"), moments_of_a_task(rank=4)
    for name, view in adapter.layers().items():
        kept_KI = moments[name].factor_KI.double()
        basis, _ = torch.linalg.qr(kept_KI.T)
        weight = view.layer.lora_A["default"].weight
        weight.data -= weight.data @ basis @ basis.T
    value = Drift(DriftSettings(strength=STRENGTH), input_moments=moments).add_gradient(adapter.layers())
    assert value == pytest.approx(0.0, abs=1e-10)
