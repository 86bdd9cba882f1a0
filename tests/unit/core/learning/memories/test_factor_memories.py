"""Memories of factors: those of all earlier tasks, and those of the last one."""

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.memories.last_factors.rule import LastFactors
from core.learning.memories.past_factors.rule import PastFactors
from core.learning.memories.port import Past
from tests.unit.core.learning.adapted import learned
from tests.unit.core.learning.conftest import llama


def past(name: str, state: dict[str, Tensor]) -> Past:
    return Past(chain=[], states={name: load(save(state))}, modules=(), device=torch.device("cpu"))


def lora(rank: int, *targets: str, alpha: float = 8.0) -> Lora:
    adapter = Lora(LoraSettings(rank=rank, alpha=alpha, target_modules=targets))
    adapter.attach(llama())
    for view in adapter.layers().values():
        torch.nn.init.normal_(view.layer.lora_B["default"].weight)
    return adapter


def test_the_past_is_all_factors_one_below_the_other_whatever_their_ranks() -> None:
    memory, tasks = PastFactors(), [lora(2, "q_proj"), lora(3, "q_proj", "v_proj"), lora(1, "v_proj")]
    for adapter in tasks:
        memory.keep(adapter.layers())
        again = PastFactors()
        again.recall(past("past_factors", memory.state()))
        memory = again
    for name, factors_PI in memory.items():
        wanted = [task.layers()[name].factors.a_RI for task in tasks if name in task.layers()]
        assert torch.equal(factors_PI, torch.cat(wanted).detach())
    assert {len(factors) for name, factors in memory.items() if name.endswith("q_proj")} == {5}
    assert {len(factors) for name, factors in memory.items() if name.endswith("v_proj")} == {4}


def test_what_is_kept_does_not_follow_the_factors_any_further() -> None:
    for memory in (PastFactors(), LastFactors()):
        adapter = lora(2, "q_proj")
        memory.keep(adapter.layers())
        before = {name: tensor.clone() for name, tensor in memory.state().items()}
        for view in adapter.layers().values():
            view.factors.a_RI.data.add_(1)
            view.factors.b_OR.data.add_(1)
        assert all(torch.equal(tensor, before[name]) for name, tensor in memory.state().items())


def test_the_last_factors_come_back_with_their_scale() -> None:
    memory, again, adapter = LastFactors(), LastFactors(), lora(2, "q_proj", alpha=3.0)
    memory.keep(adapter.layers())
    again.recall(past("last_factors", memory.state()))
    assert set(again) == set(adapter.layers())
    for name, ended in again.items():
        view = adapter.layers()[name]
        torch.testing.assert_close(ended.scale * ended.b_OR @ ended.a_RI, view.update().value_OI)


def test_the_last_task_counts_and_of_modules_that_it_did_not_adapt_the_one_before() -> None:
    memory, first, second = LastFactors(), lora(2, "q_proj", "v_proj"), lora(2, "v_proj")
    memory.keep(first.layers())
    memory.keep(second.layers())
    for name, ended in memory.items():
        adapter = second if name.endswith("v_proj") else first
        assert torch.equal(ended.a_RI, adapter.layers()[name].factors.a_RI)


def test_an_adapter_without_factors_leaves_none() -> None:
    for memory in (PastFactors(), LastFactors()):
        memory.keep(learned("full", 0.0).layers())
        assert memory.state() == {}


def test_an_empty_memory_recalls_nothing() -> None:
    for memory in (PastFactors(), LastFactors()):
        memory.recall(Past(chain=[], states={}, modules=(), device=torch.device("cpu")))
        assert len(memory) == 0
