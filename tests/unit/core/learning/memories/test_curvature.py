import pytest
import torch
from torch import nn

from core.learning.memories.curvature.config import CurvatureSettings
from core.learning.memories.curvature.rule import Bend, Curvature
from core.learning.memories.port import Past
from tests.unit.core.learning.merged import Merged

Row = tuple[torch.Tensor, int]
SHAPES = {"0": (5, 4), "2": (4, 3)}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).requires_grad_(requires_grad=False)


def rows(seed: int, count: int) -> list[Row]:
    """Return rows of three tokens and the class of the last."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(3, 5, generator=generator), number % 3) for number in range(count)]


def loss_of(net: nn.Module, row: Row) -> torch.Tensor:
    """Return a loss to which the tokens matter unequally."""
    share = torch.tensor([[0.1], [0.3], [1.0]])
    return -(net(row[0]) * share).sum(0).log_softmax(-1)[row[1]]


def task(net: nn.Module, some: list[Row]) -> Merged:
    return Merged(net, tuple(SHAPES), losses=[lambda row=row: loss_of(net, row) for row in some])


def by_hand(net: nn.Sequential, some: list[Row], module: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A and G from gradients with respect to the outputs of every token."""
    inputs, outputs, weight = 0.0, 0.0, 0.0
    for row in some:
        x = row[0] if module == "0" else net[1](net[0](row[0]))
        out = net.get_submodule(module)(x).requires_grad_()
        rest = nn.Sequential(*list(net)[int(module) + 1 :])
        loss = -(rest(out) * torch.tensor([[0.1], [0.3], [1.0]])).sum(0).log_softmax(-1)[row[1]]
        (g,) = torch.autograd.grad(loss, out)
        for token in range(3):
            inputs = inputs + g[token].square().sum() * torch.outer(x[token], x[token])
            outputs = outputs + torch.outer(g[token], g[token])
            weight = weight + g[token].square().sum()
    return inputs / weight, outputs / len(some)


def whole(bend: Bend) -> tuple[torch.Tensor, torch.Tensor]:
    return bend.inputs_KI.T @ bend.inputs_KI, bend.outputs_KO.T @ bend.outputs_KO


def test_over_tasks_the_factor_of_inputs_is_a_mean_and_that_of_outputs_a_sum() -> None:
    net, curvature = network(), Curvature()
    first, second = rows(1, 5), rows(2, 9)
    curvature.observe(task(net, first))
    curvature.observe(task(net, second))
    for module in SHAPES:
        (a_one, g_one), (a_two, g_two) = by_hand(net, first, module), by_hand(net, second, module)
        inputs_II, outputs_OO = whole(curvature[module])
        torch.testing.assert_close(inputs_II, (a_one + a_two) / 2)
        torch.testing.assert_close(outputs_OO, g_one + g_two)
        assert curvature[module].tasks == 2


def test_the_traces_multiply_to_that_of_the_fisher_information_of_single_tokens() -> None:
    net, curvature, some = network(), Curvature(), rows(1, 6)
    curvature.observe(task(net, some))
    inputs_II, outputs_OO = whole(curvature["0"])
    total = 0.0
    for row in some:
        out = net[0](row[0]).requires_grad_()
        loss = -(net[2](net[1](out)) * torch.tensor([[0.1], [0.3], [1.0]])).sum(0).log_softmax(-1)[row[1]]
        (g,) = torch.autograd.grad(loss, out)
        total += float((g.square().sum(1) * row[0].square().sum(1)).sum())
    assert float(inputs_II.trace() * outputs_OO.trace()) == pytest.approx(total / len(some), rel=1e-5)


def test_the_largest_directions_are_kept_and_the_size_does_not_grow() -> None:
    net, curvature = network(), Curvature(CurvatureSettings(rank=2))
    for seed in range(4):
        curvature.observe(task(net, rows(seed, 4)))
    for module, (n_inputs, n_outputs) in SHAPES.items():
        assert curvature[module].inputs_KI.shape == (2, n_inputs)
        assert curvature[module].outputs_KO.shape == (2, n_outputs)


def test_what_is_kept_is_recalled() -> None:
    net, curvature, again = network(), Curvature(), Curvature()
    curvature.observe(task(net, rows(1, 5)))
    past = Past(chain=[], states={"curvature": curvature.state()}, modules=set(SHAPES), device=torch.device("cpu"))
    again.recall(past)
    assert set(again) == set(SHAPES)
    for module in SHAPES:
        assert torch.equal(again[module].inputs_KI, curvature[module].inputs_KI)
        assert torch.equal(again[module].outputs_KO, curvature[module].outputs_KO)
        assert again[module].tasks == 1


def test_no_more_rows_are_looked_at_than_asked_for_and_the_network_is_left_as_it_was() -> None:
    net, some = network(), rows(1, 8)
    curvature, few = Curvature(CurvatureSettings(max_rows=3)), Curvature()
    curvature.observe(task(net, some))
    few.observe(task(net, some[:3]))
    assert torch.equal(curvature["0"].outputs_KO, few["0"].outputs_KO)
    assert not any(module._forward_hooks for module in net)
    assert not any(parameter.requires_grad for parameter in net.parameters())
