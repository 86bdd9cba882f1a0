from collections.abc import Sequence
from typing import Any

import pytest
import torch

from core.learning.adapters import factors
from core.learning.adapters.jumplora.rule import JumpLoraView
from core.learning.adapters.port import Adapter
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.objectives.drift.config import DriftSettings
from core.learning.objectives.drift.rule import Drift
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.learning.objectives.ewc.config import EwcSettings
from core.learning.objectives.ewc.rule import Ewc
from core.learning.objectives.l1_delta.config import L1DeltaSettings
from core.learning.objectives.l1_delta.rule import L1Delta
from core.learning.objectives.l2_delta.config import L2DeltaSettings
from core.learning.objectives.l2_delta.rule import L2Delta
from core.learning.objectives.olora.config import OLoraSettings
from core.learning.objectives.olora.rule import OLora
from core.learning.objectives.port import Objective
from core.learning.objectives.update_penalty import add_gradients
from tests.unit.core.learning.adapted import EVERY_KIND, learned, parameters
from tests.unit.core.learning.objectives.test_drift import moments_of_a_task


def everything(adapter: Adapter, moments: InputMoments, *, ella: str = "interpolated") -> list[Objective]:
    shapes = {name: view.update().value_OI.shape for name, view in adapter.layers().items()}
    past = {name: torch.linspace(-1, 1, shape.numel()).double().view(shape) for name, shape in shapes.items()}
    first, *others = past
    rows = {name: torch.eye(shape[1]).double()[:3] for name, shape in shapes.items()}
    return [
        L2Delta(L2DeltaSettings(strength=0.5)),
        Ella(
            EllaSettings.model_validate({"strength": 50.0, "delta": ella}), w_past={name: past[name] for name in others}
        ),
        Drift(DriftSettings(strength=7.0), input_moments=moments),
        Ewc(EwcSettings(strength=3.0), fisher={first: past[first].square()}),
        L1Delta(L1DeltaSettings(strength=0.2)),
        OLora(OLoraSettings(strength=0.3), past_factors=rows),
    ]


def gradients(adapter: Adapter, objectives: Sequence[Objective]) -> tuple[dict[str, float], list[torch.Tensor]]:
    values = add_gradients(objectives, adapter.layers())
    found = []
    for parameter in parameters(adapter):
        found.append(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
        parameter.grad = None
    return values, found


@pytest.mark.parametrize("ella", ["interpolated", "sparse"])
@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_penalties_together_are_the_sum_of_each_alone(kind: str, f: float, ella: str) -> None:
    adapter = learned(kind, f)
    objectives = everything(adapter, moments_of_a_task(), ella=ella)
    values, together = gradients(adapter, objectives)
    alone = [gradients(adapter, [objective]) for objective in objectives]
    assert values == pytest.approx({name: value for each, _ in alone for name, value in each.items()})
    assert all(value > 0 for name, value in values.items() if not (name == "olora" and kind == "full"))
    for place, gradient in enumerate(together):
        torch.testing.assert_close(gradient, torch.stack([found[place] for _, found in alone]).sum(0))


@pytest.mark.parametrize(("kind", "f"), EVERY_KIND)
def test_a_cost_of_blocks_is_that_of_the_whole(kind: str, f: float, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = learned(kind, f)
    objectives = everything(adapter, moments_of_a_task())
    values, whole = gradients(adapter, objectives)
    monkeypatch.setattr(factors, "_BLOCK_ENTRIES", 16)
    assert len(list(next(iter(adapter.layers().values())).row_blocks())) > 2
    in_blocks, found = gradients(adapter, objectives)
    assert in_blocks == pytest.approx(values)
    for got, wanted in zip(found, whole, strict=True):
        torch.testing.assert_close(got, wanted)


def test_an_update_is_formed_once_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, moments = learned("jumplora", 0.4), moments_of_a_task()
    objectives, formed = everything(adapter, moments), []
    form = JumpLoraView.update

    def counted(view: JumpLoraView, **asked: Any) -> Any:
        formed.append(view)
        return form(view, **asked)

    monkeypatch.setattr(JumpLoraView, "update", counted)
    gradients(adapter, objectives)
    assert len(formed) == len(adapter.layers())


def test_no_update_is_formed_where_the_factors_tell_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = learned("jumplora", 0.0)
    known = [L2Delta(L2DeltaSettings(strength=0.5)), Drift(DriftSettings(), input_moments=moments_of_a_task())]
    monkeypatch.setattr(
        JumpLoraView, "update", lambda *_, **__: pytest.fail("a matrix of the update's size was formed")
    )
    values, _ = gradients(adapter, known)
    assert all(value > 0 for value in values.values())
