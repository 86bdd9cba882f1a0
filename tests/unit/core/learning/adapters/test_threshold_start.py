import pytest
import torch
from torch import nn

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.jumplora.threshold_start import (
    kth_smallest_magnitude,
    magnitude_above,
    sampled_magnitude,
    sampled_products,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 500, 1999, 2000])
def test_the_order_statistic_is_exact_with_ties_and_zeros(dtype: torch.dtype, k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    values = torch.randn(2000, generator=generator, dtype=dtype) * 1e-3
    values[:300] = 0
    values[300:600] = -values[600:900]
    tiles = list(values.split(331))
    expected = values.abs().sort().values[k - 1]
    assert kth_smallest_magnitude(lambda: tiles, k, dtype=dtype) == float(expected)


def many(kind: str) -> torch.Tensor:
    values = torch.randn(5_000_000, generator=torch.Generator().manual_seed(0)) * 1e-3
    if kind == "all equal":
        values[:] = -0.5
    if kind == "mostly zero":
        values[:4_500_000] = 0
    if kind == "a sample that misleads":
        values[::127] = 1.0
    return values


@pytest.mark.parametrize("kind", ["spread", "all equal", "mostly zero", "a sample that misleads"])
@pytest.mark.parametrize("k", [1, 2_500_000, 4_990_000, 5_000_000])
def test_the_order_statistic_of_many_entries_is_exact_whatever_a_sample_shows(kind: str, k: int) -> None:
    values = many(kind)
    expected = values.abs().kthvalue(k).values
    assert kth_smallest_magnitude(lambda: values.split(1 << 20), k, dtype=torch.float32) == float(expected)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("entries", [1001, 5_000_000])
def test_no_more_than_the_rest_lies_above_a_share_and_hardly_less(entries: int, share: float) -> None:
    values = torch.randn(entries, generator=torch.Generator().manual_seed(0))
    tau = magnitude_above(lambda: values.split(1 << 20), share, entries=entries, dtype=torch.float32)
    above = int((values.abs().double() > tau).sum())
    assert (1 - share) * entries - 2 < above <= round((1 - share) * entries, 6)


def test_of_a_large_layer_the_last_threshold_lets_no_more_pass_than_its_share() -> None:
    torch.manual_seed(0)
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=4, target_modules=("one",), density=0.1))
    adapter.attach(nn.ModuleDict({"one": nn.Linear(1000, 2000, bias=False)}))
    layer = adapter.layers()["one"].layer
    nn.init.normal_(layer.lora_B["default"].weight)
    kept = []
    for step in (9, 10):
        adapter.after_step(step, total_steps=10)
        kept.append(int((layer.product("default").abs() > layer.tau("default")).sum()))
    by_sample, exactly = kept
    assert by_sample == pytest.approx(200_000, rel=0.03)
    assert 199_900 < exactly <= 200_000
    # Where a task ends earlier, its gate closed already.
    adapter.after_step(9, total_steps=10)
    adapter.settle()
    assert int((layer.product("default").abs() > layer.tau("default")).sum()) == exactly


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("entries", [1_000_000, 3_000_000, 10_000_000])
def test_a_sampled_quantile_of_many_entries_leaves_about_its_share_below(entries: int, share: float) -> None:
    values = torch.randn(entries, generator=torch.Generator().manual_seed(0))
    tau = sampled_magnitude(lambda stride: values[::stride].abs(), share, entries=len(values))
    assert float((values.abs() <= tau).double().mean()) == pytest.approx(share, abs=0.008)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_of_few_entries_the_quantile_is_exact(share: float) -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    tau = sampled_magnitude(lambda stride: values[::stride].abs(), share, entries=len(values))
    assert int((values.abs() <= tau).sum()) == max(round(1000 * share), 1)


def test_no_entry_lies_so_near_to_the_quantile_that_its_last_bit_decides() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    tau = sampled_magnitude(lambda stride: values[::stride].abs(), 0.9, entries=len(values))
    assert float((values.abs() - tau).abs().min()) > 1e-5


def test_a_sample_of_products_is_every_so_many_th_entry_of_all_of_them() -> None:
    draw = torch.Generator().manual_seed(0)
    factors = [(torch.randn(o, 3, generator=draw), torch.randn(3, i, generator=draw)) for o, i in ((11, 7), (5, 13))]
    entries = torch.cat([(b_OR @ a_RI).abs().flatten() for b_OR, a_RI in factors])
    for stride in (1, 4, 19):
        torch.testing.assert_close(sampled_products(factors, stride), entries[::stride])
