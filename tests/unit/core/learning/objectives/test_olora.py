import pytest
import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.past_factors.rule import PastFactors
from core.learning.objectives.olora.config import OLoraSettings
from core.learning.objectives.olora.rule import OLora
from tests.unit.core.learning.adapted import LOW_RANK, assert_closed_form, assert_untouched, learned, parameters

STRENGTH = 3.0


def past_of(names: list[str], *, rank: int = 6) -> dict[str, Tensor]:
    """Return what three earlier tasks of rank 2 left."""
    generator = torch.Generator().manual_seed(2)
    return {name: torch.randn(rank, 16, generator=generator, dtype=torch.float64) for name in names}


@pytest.mark.parametrize("shrinkage", [0.0, 0.7])
@pytest.mark.parametrize(("kind", "f"), LOW_RANK)
def test_the_closed_form_of_olora_is_what_autograd_finds(kind: str, f: float, shrinkage: float) -> None:
    adapter = learned(kind, f)
    past = past_of(list(adapter.layers())[1:])

    def naive(name: str, view: AdaptedLayer) -> Tensor:
        assert view.factors is not None
        a_RI, b_OR = view.factors.a_RI, view.factors.b_OR
        value = shrinkage * (a_RI.square().sum().sqrt() + b_OR.square().sum().sqrt())
        return value + STRENGTH * (past[name] @ a_RI.T).abs().sum() if name in past else value

    olora = OLora(OLoraSettings(strength=STRENGTH, shrinkage=shrinkage), past_factors=past)
    assert assert_closed_form(adapter, olora, naive) > 0


def test_a_fresh_b_of_zeros_shrinks_without_a_gradient_that_is_no_number() -> None:
    adapter = learned("lora", 0.0)
    for view in adapter.layers().values():
        assert view.factors is not None
        view.factors.b_OR.data.zero_()
    OLora(OLoraSettings(shrinkage=1.0), past_factors=past_of(list(adapter.layers()))).add_gradient(adapter.layers())
    assert all(torch.isfinite(parameter.grad).all() for parameter in parameters(adapter) if parameter.grad is not None)


@pytest.mark.parametrize(("kind", "f"), LOW_RANK)
def test_the_first_task_pays_olora_nothing(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    olora = OLora(OLoraSettings(strength=STRENGTH, shrinkage=1.0), past_factors=PastFactors())
    assert olora.add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)


def test_factors_that_read_other_directions_cost_nothing() -> None:
    adapter = learned("lora", 0.0)
    past = past_of(list(adapter.layers()), rank=4)
    for name, view in adapter.layers().items():
        assert view.factors is not None
        basis, _ = torch.linalg.qr(past[name].T)
        view.factors.a_RI.data -= view.factors.a_RI.data @ basis @ basis.T
    value = OLora(OLoraSettings(strength=STRENGTH), past_factors=past).add_gradient(adapter.layers())
    assert value == pytest.approx(0.0, abs=1e-10)


def test_a_past_of_another_type_is_read_in_the_factors_own() -> None:
    adapter = learned("lora", 0.0)
    past = {name: tensor.float() for name, tensor in past_of(list(adapter.layers())).items()}
    assert OLora(OLoraSettings(), past_factors=past).add_gradient(adapter.layers()) > 0
