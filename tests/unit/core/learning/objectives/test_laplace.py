import pytest
import torch

from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.memories.curvature.rule import Curvature
from core.learning.memories.port import Past
from core.learning.objectives.laplace.config import LaplaceSettings
from core.learning.objectives.laplace.rule import Laplace
from tests.unit.core.learning.naive import naive_update
from tests.unit.core.learning.objectives.test_ella import attached

STRENGTH = 3.0


def curvature_of(names: dict[str, tuple[int, int]]) -> Curvature:
    """Return factors such as tasks leave, for layers of given outputs and inputs."""
    state = {}
    for number, (name, (n_outputs, n_inputs)) in enumerate(names.items()):
        generator = torch.Generator().manual_seed(number)
        state[f"{name}.inputs"] = torch.randn(6, n_inputs, generator=generator)
        state[f"{name}.outputs"] = torch.randn(5, n_outputs, generator=generator)
        state[f"{name}.tasks"] = torch.tensor(2)
    curvature = Curvature()
    curvature.recall(Past(chain=[], states={"curvature": state}, modules=set(names), device=torch.device("cpu")))
    return curvature


@pytest.mark.parametrize(("kind", "f"), [("lora", 0.0), ("jumplora", 0.0), ("jumplora", 0.4), ("jumplora", 1.0)])
def test_the_closed_form_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter = attached(kind, f=f)
    shapes = {name: tuple(view.update().value_OI.shape) for name, view in adapter.layers().items()}
    curvature = curvature_of(shapes)
    value = Laplace(LaplaceSettings(strength=STRENGTH), curvature=curvature).add_gradient(adapter.layers())
    got = {name: view.layer.lora_B["default"].weight.grad for name, view in adapter.layers().items()}
    penalty = torch.zeros((), dtype=torch.float64)
    for name, view in adapter.layers().items():
        view.layer.lora_B["default"].weight.grad = None
        jump = isinstance(adapter, JumpLora)
        theta = view.layer.lora_log_threshold["default"].detach() if jump else torch.zeros(1)
        a, b = view.layer.lora_A["default"].weight, view.layer.lora_B["default"].weight
        update_OI = naive_update(a, b, theta, scale=4.0, f=f, bandwidth=1e-3)
        inputs_KI, outputs_KO = curvature[name].inputs_KI.double(), curvature[name].outputs_KO.double()
        bent = update_OI @ (inputs_KI.T @ inputs_KI) @ update_OI.T @ (outputs_KO.T @ outputs_KO)
        penalty = penalty + STRENGTH / 2 * bent.trace()
    penalty.backward()
    assert value == pytest.approx(float(penalty.detach()), rel=1e-9)
    assert value > 0
    for name, view in adapter.layers().items():
        torch.testing.assert_close(got[name], view.layer.lora_B["default"].weight.grad)
        if isinstance(adapter, JumpLora):
            assert view.layer.lora_log_threshold["default"].grad is None


def test_without_a_past_or_a_strength_there_is_no_penalty() -> None:
    adapter = attached("jumplora")
    shapes = {name: tuple(view.update().value_OI.shape) for name, view in adapter.layers().items()}
    assert Laplace(LaplaceSettings(), curvature=Curvature()).add_gradient(adapter.layers()) == 0.0
    off = Laplace(LaplaceSettings(strength=0), curvature=curvature_of(shapes))
    assert off.add_gradient(adapter.layers()) == 0.0
    assert all(view.layer.lora_A["default"].weight.grad is None for view in adapter.layers().values())
