import pytest
import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer, Adapter
from core.learning.memories.curvature.rule import Curvature
from core.learning.memories.port import Past
from core.learning.objectives.laplace.config import LaplaceSettings
from core.learning.objectives.laplace.rule import Laplace
from tests.unit.core.learning.adapted import (
    EVERY_KIND,
    assert_closed_form,
    assert_untouched,
    learned,
    update_by_autograd,
)

STRENGTH = 3.0


def curvature_of(adapter: Adapter) -> Curvature:
    """Return factors such as tasks leave, for all layers."""
    state = {}
    for number, (name, view) in enumerate(adapter.layers().items()):
        n_outputs, n_inputs = view.update().value_OI.shape
        generator = torch.Generator().manual_seed(number)
        state[f"{name}.inputs"] = torch.randn(6, n_inputs, generator=generator)
        state[f"{name}.outputs"] = torch.randn(5, n_outputs, generator=generator)
        state[f"{name}.tasks"] = torch.tensor(2)
    curvature = Curvature()
    curvature.recall(
        Past(chain=[], states={"curvature": state}, modules=set(adapter.layers()), device=torch.device("cpu"))
    )
    return curvature


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_closed_form_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    curvature = curvature_of(adapter)

    def naive(name: str, view: AdaptedLayer) -> Tensor:
        update_OI, bend = update_by_autograd(adapter, view), curvature[name]
        inputs_KI, outputs_KO = bend.inputs_KI.to(update_OI), bend.outputs_KO.to(update_OI)
        bent = update_OI @ (inputs_KI.T @ inputs_KI) @ update_OI.T @ (outputs_KO.T @ outputs_KO)
        return STRENGTH / 2 * bent.trace()

    assert assert_closed_form(adapter, Laplace(LaplaceSettings(strength=STRENGTH), curvature=curvature), naive) > 0


def test_without_a_past_or_a_strength_there_is_no_penalty() -> None:
    adapter = learned("jumplora", 0.4)
    assert Laplace(LaplaceSettings(), curvature=Curvature()).add_gradient(adapter.layers()) == 0.0
    off = Laplace(LaplaceSettings(strength=0), curvature=curvature_of(adapter))
    assert off.add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)
