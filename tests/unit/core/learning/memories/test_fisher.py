from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from transformers.pytorch_utils import Conv1D

from core.learning.memories.fisher.config import FisherSettings
from core.learning.memories.fisher.rule import Fisher
from core.learning.memories.port import Past
from tests.unit.core.learning.merged import Merged


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).requires_grad_(requires_grad=False)


def rows(seed: int, count: int) -> list[tuple[torch.Tensor, int]]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(5, generator=generator), number % 3) for number in range(count)]


def loss_of(net: nn.Module, row: tuple[torch.Tensor, int]) -> torch.Tensor:
    return -net(row[0]).log_softmax(-1)[row[1]]


def task(net: nn.Module, some: list[tuple[torch.Tensor, int]], modules: tuple[str, ...] = ("0", "2")) -> Merged:
    return Merged(net, modules, losses=[lambda row=row: loss_of(net, row) for row in some])


def by_hand(net: nn.Module, some: list[tuple[torch.Tensor, int]], module: str) -> torch.Tensor:
    """Return the mean over rows of squared gradients, one backward pass each."""
    weight: Any = net.get_submodule(module).weight
    total = torch.zeros_like(weight)
    for row in some:
        weight.grad = None
        weight.requires_grad_()
        loss_of(net, row).backward()  # type: ignore[no-untyped-call]
        total += weight.grad**2
        weight.requires_grad_(False)
        weight.grad = None
    return total / len(some)


def test_it_is_the_mean_squared_gradient_over_rows_summed_over_tasks() -> None:
    net, fisher = network(), Fisher()
    first, second = rows(1, 5), rows(2, 9)
    fisher.observe(task(net, first))
    fisher.observe(task(net, second))
    for module in ("0", "2"):
        torch.testing.assert_close(fisher[module], by_hand(net, first, module) + by_hand(net, second, module))


def test_no_more_rows_are_looked_at_than_asked_for() -> None:
    net, some = network(), rows(1, 8)
    fisher = Fisher(FisherSettings(max_rows=3))
    fisher.observe(task(net, some))
    torch.testing.assert_close(fisher["0"], by_hand(net, some[:3], "0"))


def test_the_network_is_left_as_it_was_also_when_looking_is_stopped() -> None:
    net = network()

    def stopped() -> torch.Tensor:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Fisher().observe(Merged(net, ("0",), losses=[stopped]))
    Fisher().observe(task(net, rows(1, 2)))
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in net.parameters())


def test_a_module_that_no_row_passes_through_does_not_matter() -> None:
    net = network()
    net.append(nn.Identity())
    net[3].idle = nn.Linear(2, 2).requires_grad_(requires_grad=False)
    fisher = Fisher()
    fisher.observe(task(net, rows(1, 3), modules=("0", "3.idle")))
    assert torch.equal(fisher["3.idle"], torch.zeros(2, 2))
    assert fisher["0"].any()


def test_of_a_transposed_layer_it_stands_with_outputs_first() -> None:
    plain = network()
    turned = nn.Sequential(Conv1D(4, 5), nn.Tanh(), plain[2])
    turned[0].weight.data.copy_(plain[0].weight.T)
    turned[0].bias.data.copy_(plain[0].bias)
    some, one, other = rows(1, 4), Fisher(), Fisher()
    one.observe(task(plain, some))
    other.observe(task(turned.requires_grad_(requires_grad=False), some))
    torch.testing.assert_close(other["0"], one["0"])


def test_modules_that_only_one_task_adapted_keep_what_that_task_left() -> None:
    net, fisher, some = network(), Fisher(), rows(1, 4)
    fisher.observe(task(net, some, modules=("0",)))
    fisher.observe(task(net, some, modules=("2",)))
    for module in ("0", "2"):
        torch.testing.assert_close(fisher[module], by_hand(net, some, module))


def test_what_is_kept_has_one_size_and_comes_back_to_three_digits() -> None:
    net, fisher, sizes = network(), Fisher(), []
    for number in range(4):
        fisher.observe(task(net, rows(number, 3)))
        state = load(save(fisher.state()))
        sizes.append(sum(tensor.nbytes for tensor in state.values()))
        again = Fisher()
        again.recall(Past(chain=[], states={"fisher": state}, modules=(), device=torch.device("cpu")))
        torch.testing.assert_close(again["0"], fisher["0"], rtol=2**-8, atol=0)
        assert again["0"].dtype == torch.float32
        fisher = again
    assert len(set(sizes)) == 1
