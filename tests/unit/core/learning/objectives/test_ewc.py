import pytest
import torch
from torch import Tensor

from core.learning.adapters.port import AdaptedLayer
from core.learning.memories.fisher.rule import Fisher
from core.learning.objectives.ewc.config import EwcSettings
from core.learning.objectives.ewc.rule import Ewc
from tests.unit.core.learning.adapted import (
    EVERY_KIND,
    assert_closed_form,
    assert_untouched,
    learned,
    update_by_autograd,
)

STRENGTH = 20.0


def fisher_of(names: list[str], shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.rand(shapes[name], generator=generator, dtype=torch.float64) for name in names}


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_closed_form_of_ewc_is_what_autograd_finds(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    shapes = {name: tuple(view.update().value_OI.shape) for name, view in adapter.layers().items()}
    fisher = fisher_of(list(shapes)[1:], shapes)

    def naive(name: str, view: AdaptedLayer) -> Tensor:
        update_OI = update_by_autograd(adapter, view)
        return STRENGTH / 2 * (fisher[name] * update_OI.square()).sum() if name in fisher else 0 * update_OI.sum()

    assert assert_closed_form(adapter, Ewc(EwcSettings(strength=STRENGTH), fisher=fisher), naive) > 0


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_the_first_task_pays_ewc_nothing(kind: str, f: float) -> None:
    adapter = learned(kind, f)
    assert Ewc(EwcSettings(), fisher=Fisher()).add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)


def test_weights_that_never_mattered_may_move_for_nothing() -> None:
    adapter = learned("lora", 0.0)
    fisher = {name: torch.zeros_like(view.update().value_OI) for name, view in adapter.layers().items()}
    assert Ewc(EwcSettings(), fisher=fisher).add_gradient(adapter.layers()) == 0.0


def test_a_strength_of_zero_switches_ewc_off() -> None:
    adapter = learned("lora", 0.0)
    fisher = {name: torch.ones_like(view.update().value_OI) for name, view in adapter.layers().items()}
    assert Ewc(EwcSettings(strength=0), fisher=fisher).add_gradient(adapter.layers()) == 0.0
    assert_untouched(adapter)
