"""The penalties on the update itself: l1_delta and l2_delta."""

import pytest
import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.objectives.l1_delta.config import L1DeltaSettings
from core.learning.objectives.l1_delta.rule import L1Delta
from core.learning.objectives.l2_delta.config import L2DeltaSettings
from core.learning.objectives.l2_delta.rule import L2Delta
from tests.unit.core.learning.adapted import (
    EVERY_KIND,
    assert_closed_form,
    assert_untouched,
    learned,
    update_by_autograd,
)

STRENGTH = 0.3


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_closed_form_of_l1_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter = learned(kind, f)

    def naive(_: str, view: AdaptedLayer) -> Tensor:
        return STRENGTH * update_by_autograd(adapter, view).abs().sum()

    assert assert_closed_form(adapter, L1Delta(L1DeltaSettings(strength=STRENGTH)), naive) > 0


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_closed_form_of_l2_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter = learned(kind, f)

    def naive(_: str, view: AdaptedLayer) -> Tensor:
        return STRENGTH * update_by_autograd(adapter, view).square().sum()

    assert assert_closed_form(adapter, L2Delta(L2DeltaSettings(strength=STRENGTH)), naive) > 0


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_l2_of_the_factors_is_the_norm_of_the_dense_update(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    dense = sum(float(view.update().value_OI.norm()) ** 2 for view in adapter.layers().values())
    value = L2Delta(L2DeltaSettings(strength=STRENGTH)).add_gradient(adapter.layers())
    assert value == pytest.approx(STRENGTH * dense, rel=1e-12)


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_a_strength_of_zero_switches_both_off(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    for off in (L1Delta(L1DeltaSettings(strength=0)), L2Delta(L2DeltaSettings(strength=0))):
        assert off.add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_an_update_of_zero_costs_nothing_and_pulls_nowhere(kind: str) -> None:
    adapter = learned(kind, 0.0)
    for view in adapter.layers().values():
        if view.factors is None:
            view.linear.weight.data.copy_(view.start)  # type: ignore[attr-defined]
        else:
            view.factors.b_OR.data.zero_()
    for objective in (L1Delta(L1DeltaSettings()), L2Delta(L2DeltaSettings())):
        assert objective.add_gradient(adapter.layers()) == 0.0
    for view in adapter.layers().values():
        parameter = view.linear.weight if view.factors is None else view.factors.b_OR  # type: ignore[attr-defined]
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))
