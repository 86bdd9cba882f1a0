"""GPT-2, whose linear layers keep their weights transposed: every adapter kind, the merge, and a lineage of two tasks."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.learning.adapters.full.config import FullSettings
from core.learning.adapters.full.rule import Full
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.lineage import Lineage
from core.learning.rows import Row
from core.weights import base, fold
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from tests.tiny_models import tiny_gpt2
from tests.unit.core.learning.conftest import VOCABULARY, gpt2

TARGETS = ("c_attn", "mlp.c_fc", "mlp.c_proj")
TIDES = [Row(f"The tide is {word}. Flag:", flag) for word, flag in (("high", " red"), ("low", " green"))]
DOORS = [Row(f"The door is {word}. Lamp:", lamp) for word, lamp in (("open", " amber"), ("shut", " blue"))]


def trained(kind: str) -> tuple[Any, Any, Any]:
    """Return a base, an adapter on it whose update is not zero, and the adapted model."""
    network = gpt2()
    adapter: JumpLora | Lora | Full
    if kind == "full":
        adapter = Full(FullSettings(target_modules=TARGETS))
        model = adapter.attach(network)
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.data += 0.05 * torch.randn_like(parameter)
        return network, adapter, model
    if kind == "lora":
        adapter = Lora(LoraSettings(rank=2, alpha=8, target_modules=TARGETS))
    else:
        adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=TARGETS))
    model = adapter.attach(network)
    for view in adapter.layers().values():
        torch.nn.init.normal_(view.layer.lora_B["default"].weight, std=0.1)
    if isinstance(adapter, JumpLora):
        adapter.tuner.start_thresholds()
        adapter.tuner.set_interpolation(1.0)
    return network, adapter, model


def logits(model: Any) -> Tensor:
    ids = torch.arange(3, 15).view(2, 6) % VOCABULARY
    with torch.no_grad():
        answered: Tensor = model.eval()(input_ids=ids).logits
    return answered


@pytest.mark.parametrize("kind", ["jumplora", "lora", "full"])
def test_the_delta_lies_outputs_first_and_base_and_delta_answer_as_the_adapted_model(kind: str) -> None:
    network, adapter, model = trained(kind)
    assert len(adapter.layers()) == 6
    expected = logits(model)
    updates = dict(adapter.deltas())
    assert updates["transformer.h.0.attn.c_attn"].shape == (48, 16)
    assert updates["transformer.h.1.mlp.c_fc"].shape == (64, 16)
    delta = Delta.from_dense(updates, sparse=adapter.sparse)
    adapter.detach()
    torch.testing.assert_close(logits(network), logits(gpt2()), rtol=0, atol=0)
    assert not torch.allclose(expected, logits(network))
    fold.apply(network, fold.fold(network, [delta]))
    torch.testing.assert_close(logits(network), expected)


@pytest.mark.parametrize("kind", ["jumplora", "lora", "full"])
def test_a_gradient_of_the_update_reaches_the_parameters_as_autograd_would_bring_it(kind: str) -> None:
    _, adapter, _ = trained(kind)
    view = adapter.layers()["transformer.h.0.attn.c_attn"]
    update = view.update()
    gradient_OI = torch.randn(update.value_OI.shape, dtype=torch.float64)
    update.add_gradient(gradient_OI.clone())
    if kind == "full":
        torch.testing.assert_close(view.linear.weight.grad, gradient_OI.T)
        return
    a, b = (factor.detach().clone().requires_grad_() for factor in (view.factors.a_RI, view.factors.b_OR))
    delta = b @ a
    keep = delta.detach().abs() > view.layer.tau("default") if kind == "jumplora" else torch.ones_like(delta)
    (4.0 * keep * delta * gradient_OI).sum().backward()
    torch.testing.assert_close(view.factors.a_RI.grad, a.grad)
    torch.testing.assert_close(view.factors.b_OR.grad, b.grad)


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedBase:
    return base.load(tiny_gpt2(tmp_path / "gpt2"))


def test_facts_list_the_transposed_layers_outputs_first(loaded: LoadedBase) -> None:
    facts = loaded.facts
    assert facts.default_targets == ("c_attn",)
    assert facts.modules["transformer.h.1.attn.c_attn"] == (96, 32)
    assert facts.modules["transformer.h.0.mlp.c_proj"] == (32, 128)
    assert facts.blocks["transformer.h.1.mlp.c_fc"] == "transformer.h.1"
    assert "lm_head" not in facts.modules
    assert len(facts.modules) == 8


METHODS = ["jumplora", "jumplora+ella", "inclora", "seqlora", "ewc", "mtl", "seqft"]


@pytest.mark.parametrize("method", METHODS)
def test_a_lineage_of_two_tasks_is_base_and_deltas(method: str, loaded: LoadedBase) -> None:
    start = copy.deepcopy(loaded.model)
    lineage = Lineage(loaded.model, loaded.tokenizer, method=method, device="cpu")
    spec = {"adapter": {"target_modules": "all-linear"}, "training": {"max_steps": 5, "learning_rate": 1e-3}}
    for task in (TIDES, DOORS):
        delta = lineage.learn(task * 4, spec=spec)
        assert delta.nnz > 0
    folded = fold.fold(start, lineage.chain)
    assert len(folded) == 8
    fold.apply(start, folded)
    ids = torch.arange(5, 25).view(2, 10)
    torch.testing.assert_close(start(input_ids=ids).logits, lineage.network(input_ids=ids).logits, atol=1e-3, rtol=1e-4)


def test_what_merging_writes_is_the_forward_pass_with_the_gate_closed(loaded: LoadedBase) -> None:
    lineage = Lineage(loaded.model, loaded.tokenizer, method="jumplora", device="cpu")
    ids = torch.arange(5, 25).view(2, 10)
    for task in (TIDES, DOORS):
        recipe = lineage.recipe({"adapter": {"rank": 2}})
        adapter = JumpLora(JumpLoraSettings.model_validate(recipe.adapter.settings))
        model = adapter.attach(lineage.network)
        for view in adapter.layers().values():
            torch.nn.init.normal_(view.layer.lora_B["default"].weight, std=0.05)
        adapter.tuner.start_thresholds()
        adapter.tuner.set_interpolation(1.0)
        forward = model(input_ids=ids).logits
        delta = Delta.from_dense(dict(adapter.deltas()), sparse=True)
        adapter.detach()
        merged = copy.deepcopy(lineage.network)
        fold.apply(merged, fold.fold(merged, [delta]))
        torch.testing.assert_close(merged(input_ids=ids).logits, forward, atol=1e-4, rtol=1e-4)
        lineage.learn(task * 4, spec={"training": {"max_steps": 5}})
