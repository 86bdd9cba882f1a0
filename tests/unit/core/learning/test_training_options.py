"""Options of a step: fp16's scaler, activations formed again, micro-batches, a rate that moves, what is refused."""

import json
import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from core.domain.errors import InvalidError
from core.learning.acceleration import accelerator_for, require_dense
from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.divergence import DivergedError
from core.learning.learner import Learner, adamw
from core.learning.loss import IGNORED, Batch
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.learning.objectives.lwf.config import LwfSettings
from core.learning.objectives.lwf.rule import Lwf
from core.learning.training import Training
from tests.unit.core.learning.conftest import causal_batch, llama, seq2seq_batch, t5
from tests.unit.core.learning.test_learner import trained


class ScaledAccelerator(Accelerator):
    """What accelerate is in fp16, on a CPU: a scaler, and matrix products in the model's own type."""

    def __init__(self, scale: float) -> None:
        super().__init__(cpu=True)
        self.native_amp = True
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale)

    @property
    def mixed_precision(self) -> str:
        return "fp16"

    def autocast(self, *_: Any) -> Any:
        return nullcontext()


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def learner_with_a_past(
    *, family: str = "causal", accelerator: Accelerator | None = None, total_steps: int = 5, **options: Any
) -> Learner:
    torch.manual_seed(5)
    network = llama() if family == "causal" else t5()
    targets = ("q_proj", "v_proj") if family == "causal" else ("q", "v")
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=targets))
    model = adapter.attach(network).train()
    past = {name: torch.full(layer.update().value_OI.shape, 0.3).double() for name, layer in adapter.layers().items()}
    accelerator = accelerator or Accelerator(cpu=True)
    optimizer = accelerator.prepare_optimizer(adamw(model, Training(learning_rate=1e-2)))
    return Learner(
        model=model,
        adapter=adapter,
        objectives=[Ella(EllaSettings(strength=1e2), w_past=past), Lwf(LwfSettings(strength=0.5))],
        optimizer=optimizer,
        accelerator=accelerator,
        family=family,  # type: ignore[arg-type]
        max_grad_norm=1.0,
        total_steps=total_steps,
        has_past=True,
        **options,
    )


def batch_of(family: str, step: int) -> Batch:
    return causal_batch(step) if family == "causal" else seq2seq_batch(step)


def part(batch: Batch, rows: slice) -> Batch:
    return Batch(batch.input_ids_BT[rows], batch.attention_mask_BT[rows], batch.labels_BT[rows])


def assert_alike(one: Learner, two: Learner) -> None:
    for name, tensor in trained(one).items():
        torch.testing.assert_close(trained(two)[name], tensor, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_micro_batches_give_the_whole_batchs_step_with_a_past_too(family: str) -> None:
    whole, split = learner_with_a_past(family=family), learner_with_a_past(family=family)
    for step in range(5):
        batch = batch_of(family, step)
        one = whole.learn([batch])
        two = split.learn([part(batch, slice(0, 1)), part(batch, slice(1, 4))])
        assert two.ce_loss == pytest.approx(one.ce_loss, rel=1e-6)
        assert two.objectives == pytest.approx(one.objectives, rel=1e-5)
        assert min(one.objectives.values()) > 0 or step == 0
    assert_alike(whole, split)


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_a_micro_batch_that_asks_for_nothing_changes_nothing(family: str) -> None:
    plain, padded = learner_with_a_past(family=family), learner_with_a_past(family=family)
    for step in range(5):
        batch = batch_of(family, step)
        row = part(batch, slice(0, 1))
        silent = Batch(row.input_ids_BT, row.attention_mask_BT, torch.full_like(row.labels_BT, IGNORED))
        assert padded.learn([batch, silent]).loss == pytest.approx(plain.learn([batch]).loss)
    assert_alike(plain, padded)


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_activations_formed_again_give_the_same_gradients_with_the_gate_open_and_closing(family: str) -> None:
    kept, formed = learner_with_a_past(family=family), learner_with_a_past(family=family, share_prefix=False)
    formed.model.activation_checkpointing_enable({"use_reentrant": False})
    calls = counted_forwards(formed)
    for step in range(5):
        one, two = kept.learn([batch_of(family, step)]), formed.learn([batch_of(family, step)])
        assert two.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)
    assert formed.adapter.state() == {"interpolation": 1.0}
    # Forward, once more for the backward pass, and once for the answers from before the task.
    assert calls[0] == 3 * 5
    assert_alike(kept, formed)


def counted_forwards(learner: Learner) -> list[int]:
    calls = [0]

    def count(*_: Any) -> None:
        calls[0] += 1

    next(iter(learner.adapter.layers().values())).layer.register_forward_hook(count)  # type: ignore[attr-defined]
    return calls


def test_rows_that_begin_alike_are_not_shared_where_activations_are_formed_again() -> None:
    batch = causal_batch()
    batch.input_ids_BT[:, :5] = batch.input_ids_BT[0, :5]
    kept, formed = learner_with_a_past(), learner_with_a_past(share_prefix=False)
    formed.model.activation_checkpointing_enable({"use_reentrant": False})
    for _ in range(4):
        assert formed.learn([batch]).loss == pytest.approx(kept.learn([batch]).loss, rel=1e-5)
    assert_alike(kept, formed)


def test_scaled_gradients_meet_objectives_and_clipping_un_scaled() -> None:
    plain, scaled = learner_with_a_past(), learner_with_a_past(accelerator=ScaledAccelerator(2.0**12))
    for step in range(5):
        one, two = plain.learn([causal_batch(step)]), scaled.learn([causal_batch(step)])
        assert two.grad_norm == pytest.approx(one.grad_norm, rel=1e-6)
        assert not two.skipped
    assert_alike(plain, scaled)


def test_a_step_that_overflows_is_skipped_and_halves_the_scale() -> None:
    learner = learner_with_a_past(accelerator=ScaledAccelerator(math.inf), total_steps=50)
    before = trained(learner)
    figures = learner.learn([causal_batch()])
    assert figures.skipped
    assert math.isfinite(figures.loss)
    assert not math.isfinite(figures.grad_norm)
    assert learner.step == 1
    for name, tensor in trained(learner).items():
        assert torch.equal(tensor, before[name])
    scaler = learner.accelerator.scaler
    assert scaler is not None
    scaler.update(2.0**10)
    assert not learner.learn([causal_batch()]).skipped
    assert scaler.get_scale() == 2.0**10


def test_the_rate_of_a_step_is_its_share_of_the_whole() -> None:
    learner = learner_with_a_past(rate_factor=lambda step: 1 / (step + 1))
    rates = []
    for step in range(4):
        learner.learn([causal_batch(step)])
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2, 5e-3, 1e-2 / 3, 2.5e-3])


def test_a_rate_of_next_to_nothing_moves_next_to_nothing() -> None:
    still = learner_with_a_past(rate_factor=lambda _: 1e-30, total_steps=50)
    before = trained(still)
    still.learn([causal_batch()])
    for name, tensor in trained(still).items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=1e-20)


@pytest.mark.parametrize("accelerator", [None, 2.0**10])
def test_an_objective_whose_gradient_is_no_number_is_no_overflow_but_diverges(accelerator: float | None) -> None:
    scaled = None if accelerator is None else ScaledAccelerator(accelerator)
    learner = learner_with_a_past(accelerator=scaled, total_steps=50)
    learner.learn([causal_batch()])
    past = {
        name: torch.full_like(layer.update().value_OI, math.nan) for name, layer in learner.adapter.layers().items()
    }
    learner.objectives = [Ella(EllaSettings(strength=1.0), w_past=past)]
    with pytest.raises(DivergedError):
        learner.learn([causal_batch()])


def test_fp16_is_refused_on_a_cpu_in_words() -> None:
    with pytest.raises(InvalidError, match="fp16 needs a CUDA device"):
        accelerator_for("fp16", cpu=True)


@pytest.mark.parametrize("packing", [{"load_in_4bit": True}, {"quant_method": "gptq", "bits": 4}])
def test_a_base_of_packed_weights_is_refused_in_words(packing: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": packing}))
    with pytest.raises(InvalidError, match="quantized"):
        require_dense(tmp_path)


@pytest.mark.gpu
def test_fp16_learns_on_cuda() -> None:
    assert torch.cuda.is_available(), "this test was asked for, and there is no CUDA device"
    accelerator = accelerator_for("fp16", cpu=False)
    torch.manual_seed(5)
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=("q_proj", "v_proj")))
    model = adapter.attach(llama(torch.float32).to(accelerator.device)).train()
    forward, optimizer = accelerator.prepare(model, adamw(model, Training()))
    learner = Learner(
        model=model,
        forward=forward,
        adapter=adapter,
        objectives=[],
        optimizer=optimizer,
        accelerator=accelerator,
        family="causal",
        max_grad_norm=1.0,
        total_steps=30,
    )
    figures = [learner.learn([causal_batch(0)]) for _ in range(30)]
    assert figures[-1].ce_loss < figures[0].ce_loss
    assert not figures[-1].skipped
