import torch
from torch import nn

from core.learning.memories.input_moments.config import InputMomentsSettings
from core.learning.memories.input_moments.rule import InputMoments
from core.learning.memories.port import Past
from tests.unit.core.learning.merged import Merged


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


def inputs(seed: int, rows: int = 40) -> torch.Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


def test_the_factor_is_the_mean_outer_product_of_the_inputs() -> None:
    net, x = network(), inputs(1)
    moments = InputMoments(InputMomentsSettings(rank=8))
    moments.observe(Merged(net, ["0"], lambda _: net(x)))
    factor = moments["0"].factor_KI
    torch.testing.assert_close(factor.T @ factor, x.T @ x / len(x))
    torch.testing.assert_close(torch.tensor(moments["0"].reach), (x @ net[0].weight.T).square().sum(1).mean())


def test_every_task_counts_the_same_whatever_its_rows() -> None:
    net, few, many = network(), inputs(1, rows=10), inputs(2, rows=90)
    moments = InputMoments(InputMomentsSettings(rank=8))
    moments.observe(Merged(net, ["0"], lambda _: net(few)))
    moments.observe(Merged(net, ["0"], lambda _: net(many)))
    factor = moments["0"].factor_KI
    torch.testing.assert_close(factor.T @ factor, few.T @ few / 10 + many.T @ many / 90)


def test_its_size_does_not_grow_with_the_tasks() -> None:
    net = network()
    moments = InputMoments(InputMomentsSettings(rank=3))
    sizes = []
    for task in range(4):
        x = inputs(task)
        moments.observe(Merged(net, ["0", "2"], lambda _, x=x: net(x)))
        sizes.append(sum(tensor.nbytes for tensor in moments.state().values()))
    assert len(set(sizes)) == 1


def test_what_is_kept_is_recalled_for_every_module_that_was_seen() -> None:
    net = network()
    moments = InputMoments(InputMomentsSettings(rank=4))
    moments.observe(Merged(net, ["0", "2"], lambda _: net(inputs(1))))
    again = InputMoments(InputMomentsSettings(rank=4))
    state = {"input_moments": moments.state()}
    again.recall(Past(chain=[], states=state, modules={"2"}, device=torch.device("cpu")))
    assert set(again) == {"0", "2"}
    torch.testing.assert_close(again["2"].factor_KI, moments["2"].factor_KI)
    assert again["2"].reach == moments["2"].reach
