import torch

from core.learning.adapters.factors import row_blocks
from core.learning.adapters.jumplora.gate import GatedLinear
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from tests.unit.core.learning.naive import naive_update


def test_the_blocks_cover_every_row_once() -> None:
    matrix = torch.arange(9000 * 300).view(9000, 300)
    blocks = list(row_blocks(matrix))
    assert len(blocks) > 2
    torch.testing.assert_close(torch.cat([matrix[rows] for rows in blocks]), matrix)


def test_a_layer_of_several_blocks_follows_the_formulas() -> None:
    torch.manual_seed(0)
    shape = {"dtype": torch.float64}
    weight_OI, x = torch.randn(6000, 400, **shape), torch.randn(5, 400, **shape)
    assert len(list(row_blocks(weight_OI))) > 2
    start = [
        torch.randn(3, 400, **shape) * 0.1,
        torch.randn(6000, 3, **shape) * 0.1,
        torch.tensor([0.01], **shape).log(),
    ]
    found, wanted = ([each.clone().requires_grad_() for each in (x, *start)] for _ in range(2))
    GatedLinear.apply(found[0], weight_OI, None, *found[1:], 2.0, 0.3, 1e-2).cos().sum().backward()
    (wanted[0] @ (weight_OI + naive_update(*wanted[1:], scale=2.0, f=0.3, bandwidth=1e-2)).T).cos().sum().backward()
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.grad, want.grad)


def test_the_penalty_of_several_blocks_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    adapter = Lora(LoraSettings(rank=2, alpha=4, target_modules=("one",)))
    adapter.attach(torch.nn.ModuleDict({"one": torch.nn.Linear(400, 6000, bias=False)}).double())
    factors = adapter.layers()["one"].factors
    torch.nn.init.normal_(factors.b_OR)
    past_OI = torch.randn(6000, 400, dtype=torch.float64)
    value = Ella(EllaSettings(strength=3.0), w_past={"one": past_OI}).add_gradient(adapter.layers())
    a_RI, b_OR = (each.detach().clone().requires_grad_() for each in (factors.a_RI, factors.b_OR))
    penalty = 3.0 * (2.0 * (b_OR @ a_RI) * past_OI).square().sum()
    penalty.backward()
    torch.testing.assert_close(value, float(penalty.detach()))
    torch.testing.assert_close(factors.a_RI.grad, a_RI.grad)
    torch.testing.assert_close(factors.b_OR.grad, b_OR.grad)
