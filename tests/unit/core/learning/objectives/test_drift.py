import pytest
import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.input_moments.config import InputMomentsSettings
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.drift.rule import Drift
from tests.unit.core.learning.adapted import (
    EVERY_KIND,
    assert_closed_form,
    assert_untouched,
    learned,
    update_by_autograd,
)
from tests.unit.core.learning.conftest import VOCABULARY, llama
from tests.unit.core.learning.merged import Merged

STRENGTH = 7.0


def moments_of_a_task(rank: int = 64) -> InputMoments:
    network = llama()
    names = [f"model.layers.{layer}.self_attn.{name}" for layer in range(2) for name in ("q_proj", "v_proj")]
    ids = torch.randint(2, VOCABULARY, (5, 7), generator=torch.Generator().manual_seed(1))
    moments = InputMoments(InputMomentsSettings(rank=rank))
    moments.observe(Merged(network, names, lambda _: network(ids)))
    return moments


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_closed_form_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter, moments = learned(kind, f), moments_of_a_task()

    def naive(name: str, view: AdaptedLayer) -> Tensor:
        update_OI = update_by_autograd(adapter, view)
        seen_OK = update_OI @ moments[name].factor_KI.to(update_OI).T
        return STRENGTH / len(adapter.layers()) * seen_OK.square().sum() / moments[name].reach

    assert assert_closed_form(adapter, Drift(DriftSettings(strength=STRENGTH), input_moments=moments), naive) > 0


def test_without_a_past_there_is_no_penalty() -> None:
    adapter = learned("jumplora", 0.4)
    assert Drift(DriftSettings(), input_moments=InputMoments()).add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)


def test_an_update_that_earlier_inputs_do_not_see_costs_nothing() -> None:
    adapter, moments = learned("lora", 0.0), moments_of_a_task(rank=4)
    for name, view in adapter.layers().items():
        kept_KI = moments[name].factor_KI.double()
        basis, _ = torch.linalg.qr(kept_KI.T)
        weight = view.layer.lora_A["default"].weight
        weight.data -= weight.data @ basis @ basis.T
    value = Drift(DriftSettings(strength=STRENGTH), input_moments=moments).add_gradient(adapter.layers())
    assert value == pytest.approx(0.0, abs=1e-10)
