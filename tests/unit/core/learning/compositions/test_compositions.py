"""How a task meets the weights: the delta adds up, and the parent's weights come back bit for bit."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.compositions.continued.rule import Continue
from core.learning.compositions.merge_sequential.rule import MergeSequential
from core.learning.compositions.restart.rule import Restart
from core.learning.memories.last_factors.rule import LastFactors
from core.weights import fold
from core.weights.delta import Delta
from tests.unit.core.learning.conftest import causal_batch, llama

Q_AND_V = ("q_proj", "v_proj")


class Run:
    """A model that adapters are put on, task after task, their factors drawn in place of trained."""

    def __init__(self) -> None:
        self.network = llama(torch.float32)
        self.base = weights(self.network)
        self.chain: list[Delta] = []
        self.pristine: dict[str, Tensor] = {}
        self.last = LastFactors()

    def attach(self, *, rank: int = 2, alpha: float = 8.0, targets: tuple[str, ...] = Q_AND_V) -> Lora:
        adapter = Lora(LoraSettings(rank=rank, alpha=alpha, target_modules=targets))
        self.parent = weights(self.network)
        adapter.attach(self.network)
        return adapter

    def learn(self, composition: Any, adapter: Lora, seed: int) -> dict[str, Tensor]:
        """Carry a task out from `begin` to the merge; return the update that the adapter ended with."""
        before = answers(self.network)
        composition.begin(self.network, adapter, self.pristine)
        self.at_start = answers(self.network)
        if isinstance(composition, Continue):
            torch.testing.assert_close(self.at_start, before, rtol=1e-5, atol=1e-5)
        draw(adapter, seed)
        ended, updates = answers(self.network), dict(adapter.deltas())
        delta = composition.delta(adapter)
        self.last.keep(adapter.layers())
        adapter.detach()
        composition.end(self.network)
        assert_same(weights(self.network), self.parent)
        merged = fold.fold(self.network, [delta])
        for name in merged.keys() - self.pristine.keys():
            self.pristine[name] = self.base[name].clone()
        fold.apply(self.network, merged)
        torch.testing.assert_close(answers(self.network), ended, rtol=1e-4, atol=1e-5)
        self.chain.append(delta)
        return updates

    def assert_merged(self, *updates: Mapping[str, Tensor]) -> None:
        """Hold that the weights are the base's and these updates, and that the chain says so too."""
        wanted = {name: tensor.clone() for name, tensor in self.base.items()}
        for update in updates:
            for module, update_OI in update.items():
                wanted[module + ".weight"] += update_OI
        folded = llama(torch.float32)
        fold.apply(folded, fold.fold(folded, self.chain))
        for name, tensor in weights(self.network).items():
            torch.testing.assert_close(tensor, wanted[name], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(folded.get_parameter(name), wanted[name], rtol=1e-5, atol=1e-6)


def draw(adapter: Lora, seed: int) -> None:
    """Move the factors as a training would."""
    generator = torch.Generator().manual_seed(seed)
    for view in adapter.layers().values():
        for factor in (view.factors.a_RI, view.factors.b_OR):
            factor.data += 0.1 * torch.randn(factor.shape, generator=generator)


def weights(network: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.named_parameters()}


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@torch.no_grad()
def answers(network: Any) -> Tensor:
    batch = causal_batch()
    logits: Tensor = network(input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT).logits
    return logits


def continued(run: Run) -> Continue:
    return Continue(last_factors=run.last)


def test_two_continued_tasks_are_one_adapter_trained_on() -> None:
    run = Run()
    first = run.attach()
    run.learn(continued(run), first, seed=1)
    factors = {name: (view.factors.a_RI, view.factors.b_OR) for name, view in first.layers().items()}
    second = run.attach()
    composition = continued(run)
    composition.begin(run.network, second, run.pristine)
    for name, view in second.layers().items():
        assert torch.equal(view.factors.a_RI, factors[name][0])
        assert torch.equal(view.factors.b_OR, factors[name][1])
    second.detach()
    composition.end(run.network)
    updates = run.learn(continued(run), run.attach(), seed=2)
    run.assert_merged(updates)
    for name, update_OI in updates.items():
        a_RI, b_OR = (factor.detach() for factor in factors[name])
        assert not torch.allclose(update_OI, 4.0 * b_OR @ a_RI)


@pytest.mark.parametrize(("rank", "alpha"), [(2, 6.0), (5, 8.0), (5, 20.0)])
def test_a_higher_rank_and_another_scale_go_on_from_the_same_update(rank: int, alpha: float) -> None:
    run = Run()
    run.learn(continued(run), run.attach(), seed=1)
    updates = run.learn(continued(run), run.attach(rank=rank, alpha=alpha), seed=2)
    run.assert_merged(updates)


def test_a_lower_rank_begins_afresh_on_the_weights_as_they_are() -> None:
    run = Run()
    first = run.learn(continued(run), run.attach(), seed=1)
    second = run.learn(continued(run), run.attach(rank=1), seed=2)
    run.assert_merged(first, second)


def test_a_module_that_was_not_adapted_before_begins_afresh() -> None:
    run = Run()
    first = run.learn(continued(run), run.attach(targets=("q_proj",)), seed=1)
    second = run.learn(continued(run), run.attach(), seed=2)
    run.assert_merged(second)
    assert set(first) < set(second)


def test_continuing_after_a_task_of_another_kind_keeps_that_tasks_update() -> None:
    run = Run()
    run.learn(continued(run), run.attach(), seed=1)
    other = run.attach(rank=1)
    kept, run.last = run.last, LastFactors()
    between = run.learn(MergeSequential(), other, seed=2)
    run.last = kept
    third = run.learn(continued(run), run.attach(), seed=3)
    run.assert_merged(between, third)


def test_starting_again_leaves_the_tasks_own_update_alone() -> None:
    run = Run()
    for seed in (1, 2, 3):
        updates = run.learn(Restart(), run.attach(), seed=seed)
        run.assert_merged(updates)
        plain = llama(torch.float32)
        torch.testing.assert_close(run.at_start, answers(plain))
    sums: dict[str, Tensor] = {}
    for delta in run.chain:
        assert delta.format == "dense"
        for name, module in delta.modules.items():
            sums[name] = sums.get(name, torch.zeros(module.shape)) + module.to_dense()
    for name, update_OI in updates.items():
        torch.testing.assert_close(sums[name], update_OI, rtol=1e-4, atol=1e-6)


def test_starting_again_also_undoes_modules_that_the_task_does_not_adapt() -> None:
    run = Run()
    run.learn(MergeSequential(), run.attach(), seed=1)
    updates = run.learn(Restart(), run.attach(targets=("v_proj", "o_proj")), seed=2)
    run.assert_merged(updates)


def test_starting_again_on_the_first_task_is_merging() -> None:
    one, other = Run(), Run()
    torch.manual_seed(1)
    one.learn(Restart(), one.attach(), seed=1)
    torch.manual_seed(1)
    other.learn(MergeSequential(), other.attach(), seed=1)
    assert_same(weights(one.network), weights(other.network))


def test_merging_keeps_a_gated_adapters_delta_sparse_and_starting_again_fills_it() -> None:
    network = llama(torch.float32)
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=Q_AND_V))
    adapter.attach(network)
    for theta in adapter.tuner.thresholds().values():
        theta.data.fill_(-3.0)
    for view in adapter.layers().values():
        torch.nn.init.normal_(view.layer.lora_B["default"].weight, std=0.1)
    assert MergeSequential().delta(adapter).format == "sparse"
    assert MergeSequential().delta(adapter).density < 1
    assert Restart().delta(adapter).format == "dense"
