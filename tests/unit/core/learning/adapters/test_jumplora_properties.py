"""What must hold of the gate for any layer, threshold and f, against the slow float64 formulas."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.layer import JumpLoraLinear
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.learning.adapters.jumplora.rule import JumpLora, JumpLoraView
from core.learning.adapters.jumplora.threshold_start import kth_smallest_magnitude
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.weights.delta import Delta
from core.weights.fold import fold
from tests.unit.core.learning.conftest import causal_batch, llama
from tests.unit.core.learning.naive import naive_update

ADAPTER, BANDWIDTH, ALPHA = "default", 1e-2, 6
KINDS = ["linear", "linear without bias", "transposed"]
fractions = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
# In units of the bandwidth: under a half the windows around tau and -tau overlap.
thresholds = st.one_of(st.floats(0.01, 0.5), st.floats(0.5, 5.0))


@dataclass(frozen=True)
class Case:
    kind: str
    outputs: int
    inputs: int
    rank: int
    tau: float
    f: float
    seed: int

    def layer(self) -> JumpLoraLinear:
        torch.manual_seed(self.seed)
        base: Any = (
            Conv1D(self.outputs, self.inputs)
            if self.kind == "transposed"
            else nn.Linear(self.inputs, self.outputs, bias=self.kind == "linear")
        )
        base.to(torch.float64).requires_grad_(requires_grad=False)
        config = JumpLoraConfig(r=self.rank, lora_alpha=ALPHA, bandwidth=BANDWIDTH, interpolation=self.f)
        layer = JumpLoraLinear(base, ADAPTER, config=config, r=self.rank, lora_alpha=ALPHA)
        with torch.no_grad():
            layer.lora_A[ADAPTER].weight.normal_(std=0.15)
            layer.lora_B[ADAPTER].weight.normal_(std=0.15)
            layer.lora_log_threshold[ADAPTER].fill_(torch.tensor(self.tau * BANDWIDTH, dtype=torch.float64).log())
        return layer

    def naive(self, layer: JumpLoraLinear) -> tuple[Tensor, list[Tensor]]:
        """Return the scaled update by the formulas, and the leaves A, B and theta that it was made of."""
        sources = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight, layer.lora_log_threshold[ADAPTER]
        a, b, theta = leaves = [source.detach().clone().requires_grad_() for source in sources]
        return naive_update(a, b, theta, scale=ALPHA / self.rank, f=self.f, bandwidth=BANDWIDTH), leaves


cases = st.builds(
    Case,
    kind=st.sampled_from(KINDS),
    outputs=st.integers(3, 9),
    inputs=st.integers(3, 9),
    rank=st.integers(1, 3),
    tau=thresholds,
    f=fractions,
    seed=st.integers(0, 2**16),
)


def weight_of(layer: JumpLoraLinear) -> Tensor:
    base = layer.get_base_layer()
    return base.weight.T if isinstance(base, Conv1D) else base.weight


@settings(deadline=None, max_examples=150)
@given(cases)
def test_forward_and_gradients_are_those_of_the_formulas(case: Case) -> None:
    layer = case.layer()
    update, leaves = case.naive(layer)
    x = torch.randn(2, 3, case.inputs, dtype=torch.float64)
    naive_x = x.clone().requires_grad_()
    x.requires_grad_()
    expected = functional.linear(naive_x, weight_of(layer) + update, layer.get_base_layer().bias)
    got = layer(x)
    torch.testing.assert_close(got, expected)
    expected.sin().sum().backward()
    got.sin().sum().backward()
    a, b, theta = leaves
    torch.testing.assert_close(x.grad, naive_x.grad)
    torch.testing.assert_close(layer.lora_A[ADAPTER].weight.grad, a.grad)
    torch.testing.assert_close(layer.lora_B[ADAPTER].weight.grad, b.grad)
    torch.testing.assert_close(layer.lora_log_threshold[ADAPTER].grad, theta.grad)


@settings(deadline=None, max_examples=60)
@given(cases, st.floats(0.1, 1e3), st.booleans())
def test_the_penalty_has_autograd_s_gradient_and_none_for_the_threshold(
    case: Case,
    strength: float,
    sparse: bool,  # noqa: FBT001
) -> None:
    layer = case.layer()
    past = torch.randn(case.outputs, case.inputs, dtype=torch.float64)
    counted = Case(**{**vars(case), "f": 1.0}) if sparse and case.f > 0 else case
    update, (a, b, _) = counted.naive(layer)
    penalty = strength * (update * past).square().sum()
    penalty.backward()
    chosen = EllaSettings.model_validate({"strength": strength, "delta": "sparse" if sparse else "interpolated"})
    value = Ella(chosen, w_past={"layer": past}).add_gradient({"layer": JumpLoraView(layer)})
    assert value == pytest.approx(float(penalty.detach()), rel=1e-9, abs=1e-12)
    for factor, want in ((layer.lora_A, a.grad), (layer.lora_B, b.grad)):
        torch.testing.assert_close(factor[ADAPTER].weight.grad, want)
    assert layer.lora_log_threshold[ADAPTER].grad is None


@settings(deadline=None, max_examples=60)
@given(cases)
def test_merging_is_the_forward_pass_once_the_gate_is_closed(case: Case) -> None:
    layer = Case(**{**vars(case), "f": 1.0}).layer()
    x = torch.randn(4, case.inputs, dtype=torch.float64)
    before, weight = layer(x), layer.get_base_layer().weight.detach().clone()
    sparse = layer.gated_update(ADAPTER, interpolation=1.0)
    assert torch.equal(sparse != 0, layer.product(ADAPTER).abs() > layer.tau(ADAPTER))
    network = nn.ModuleDict({"layer": layer.get_base_layer()})
    folded = fold(network, [Delta.from_dense({"layer": sparse}, sparse=True)])["layer.weight"]
    layer.merge(safe_merge=bool(case.seed % 2))
    torch.testing.assert_close(layer(x), before)
    assert torch.equal(layer.get_base_layer().weight, folded)
    layer.unmerge()
    torch.testing.assert_close(layer.get_base_layer().weight.detach(), weight)


@settings(deadline=None, max_examples=100)
@given(st.data(), st.sampled_from([torch.float32, torch.float64]))
def test_the_order_statistic_is_that_of_a_sort(data: st.DataObject, dtype: torch.dtype) -> None:
    few = st.floats(-4, 4, width=32)
    values = torch.tensor(data.draw(st.lists(few, min_size=1, max_size=60)), dtype=dtype)
    k = data.draw(st.integers(1, len(values)))
    size = data.draw(st.integers(1, len(values)))
    expected = sorted(abs(value) for value in values.tolist())[k - 1]
    assert kth_smallest_magnitude(lambda: values.split(size), k, dtype=dtype) == expected


@pytest.mark.parametrize("mode", ["global", "per_block"])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 5, 7])
def test_a_short_run_starts_its_thresholds_from_its_own_product_and_ends_sparse(total_steps: int, mode: str) -> None:
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=("q_proj", "v_proj"), threshold=mode))  # type: ignore[arg-type]
    model = adapter.attach(llama())
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.0)
    first, last = int(0.2 * total_steps), int(0.8 * total_steps)
    for step in range(1, total_steps + 1):
        batch = causal_batch(step)
        optimizer.zero_grad()
        model(input_ids=batch.input_ids_BT, labels=batch.labels_BT).loss.backward()
        assert all(parameter.grad is not None for parameter in parameters)
        optimizer.step()
        adapter.after_step(step, total_steps=total_steps)
        ramp = (step - first) / (last - first) if last > first else 1.0
        assert adapter.state()["interpolation"] == pytest.approx(min(ramp, 1.0) if step >= max(first, 1) else 0.0)
        if step == max(first, 1):
            for group, layers in adapter.tuner.groups().items():
                kept = sum(int((layer.product(ADAPTER).abs() > layer.tau(ADAPTER)).sum()) for layer in layers)
                factors = sum(2 * (layer.in_features + layer.out_features) for layer in layers)
                # The threshold is one of the entries itself, and keeps those over it.
                assert kept == pytest.approx(factors, abs=2), group
    assert adapter.state()["interpolation"] == 1.0
    delta = Delta.from_dense(dict(adapter.deltas()), sparse=True)
    forward = model(input_ids=batch.input_ids_BT).logits
    adapter.detach()
    base = llama()
    for name, weight in fold(base, [delta]).items():
        base.get_parameter(name).data.copy_(weight)
    torch.testing.assert_close(base(input_ids=batch.input_ids_BT).logits, forward)


@pytest.mark.parametrize("mode", ["global", "per_block"])
@pytest.mark.parametrize("total_steps", [1, 2, 10])
def test_a_threshold_that_follows_a_density_keeps_to_it_at_every_step(total_steps: int, mode: str) -> None:
    targets = ("q_proj", "v_proj")
    settings = JumpLoraSettings(rank=2, alpha=8, target_modules=targets, threshold=mode, density=0.25)  # type: ignore[arg-type]
    adapter = JumpLora(settings)
    model = adapter.attach(llama())
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    for step in range(1, total_steps + 1):
        batch = causal_batch(step)
        optimizer.zero_grad()
        model(input_ids=batch.input_ids_BT, labels=batch.labels_BT).loss.backward()
        optimizer.step()
        adapter.after_step(step, total_steps=total_steps)
        if adapter.state()["interpolation"]:
            for group, layers in adapter.tuner.groups().items():
                kept = sum(int((layer.product(ADAPTER).abs() > layer.tau(ADAPTER)).sum()) for layer in layers)
                entries = sum(layer.in_features * layer.out_features for layer in layers)
                assert kept == pytest.approx(0.25 * entries, abs=2), group
                assert step < total_steps or kept <= 0.25 * entries, group
    assert Delta.from_dense(dict(adapter.deltas()), sparse=True).density == pytest.approx(0.25, abs=0.01)
