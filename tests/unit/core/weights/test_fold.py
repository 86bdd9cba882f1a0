"""Base + deltas: in order, in fp32, cast once."""

import pytest
import torch
from torch import nn

from core.domain.errors import CorruptError
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.fold import apply, digest, fold


class Net(nn.Module):
    """Two linear modules."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Linear(3, 2, bias=False, dtype=dtype)
        self.b = nn.Linear(3, 2, bias=False, dtype=dtype)


def delta(value: float, module: str = "a") -> Delta:
    return Delta.from_dense({module: torch.full((2, 3), value)}, sparse=True)


def test_only_touched_weights_are_returned_and_the_model_stays() -> None:
    net = Net()
    before = net.a.weight.detach().clone()
    folded = fold(net, [delta(1.0)])
    assert set(folded) == {"a.weight"}
    assert torch.equal(folded["a.weight"], before + 1)
    assert torch.equal(net.a.weight, before)


def test_no_delta_folds_to_nothing() -> None:
    assert fold(Net(), []) == {}


def test_sums_are_taken_in_order() -> None:
    net = Net()
    big, small = delta(1e8), delta(1.0)
    weight = net.a.weight.detach()
    assert torch.equal(fold(net, [big, small])["a.weight"], (weight + 1e8) + 1.0)
    assert torch.equal(fold(net, [small, big])["a.weight"], (weight + 1.0) + 1e8)


def test_half_precision_weights_are_summed_in_float32_and_cast_once() -> None:
    net = Net(torch.bfloat16)
    # Each alone is lost in bfloat16; together they are not.
    deltas = [delta(1e-3)] * 40
    expected = net.a.weight.detach().float()
    for _ in deltas:
        expected = expected + 1e-3
    assert torch.equal(fold(net, deltas)["a.weight"], expected.to(torch.bfloat16))


def test_a_widened_model_folds_to_the_published_bits() -> None:
    stored, widened = Net(torch.bfloat16), Net(torch.bfloat16).float()
    deltas = [delta(0.01), delta(0.02)]
    assert digest(fold(widened, deltas, dtype=torch.bfloat16)) == digest(fold(stored, deltas))


def test_float64_stays_float64() -> None:
    net = Net(torch.float64)
    exact = Delta.from_dense({"a": torch.full((2, 3), 1e-12, dtype=torch.float64)}, sparse=True)
    assert torch.equal(fold(net, [exact])["a.weight"], net.a.weight.detach() + 1e-12)


def test_sparse_and_dense_deltas_fold_to_the_same_bits(llama: LoadedBase) -> None:
    torch.manual_seed(1)
    name = "model.layers.0.self_attn.q_proj"
    update = torch.randn(32, 32) * (torch.rand(32, 32) < 0.1)
    sparse, dense = (Delta.from_dense({name: update}, sparse=kind) for kind in (True, False))
    assert digest(fold(llama.model, [sparse])) == digest(fold(llama.model, [dense]))


def test_folded_weights_are_written_into_a_private_model() -> None:
    net = Net()
    folded = fold(net, [delta(1.0), delta(2.0, "b")])
    apply(net, folded)
    assert torch.equal(net.b.weight, folded["b.weight"])


@pytest.mark.parametrize("name", ["c", "", "a.deeper"])
def test_a_module_that_the_model_lacks_is_corrupt(name: str) -> None:
    with pytest.raises(CorruptError):
        fold(Net(), [delta(1.0, name)])


def test_another_shape_is_corrupt() -> None:
    with pytest.raises(CorruptError, match="shape"):
        fold(Net(), [Delta.from_dense({"a": torch.ones(3, 2)}, sparse=False)])
