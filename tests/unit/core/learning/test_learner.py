from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.divergence import DivergedError
from core.learning.learner import Learner, adamw
from core.learning.loss import IGNORED, Batch, target_count, target_logits, target_loss
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.learning.training import Training
from tests.unit.core.learning.conftest import causal_batch, llama, seq2seq_batch, t5


def learner_of(total_steps: int = 10, *, base: Any = None, past: dict[str, torch.Tensor] | None = None) -> Learner:
    torch.manual_seed(5)
    adapter = JumpLora(JumpLoraSettings(rank=2, alpha=8, target_modules=("q_proj", "v_proj")))
    model = adapter.attach(base if base is not None else llama())
    return Learner(
        model=model,
        adapter=adapter,
        objectives=[Ella(EllaSettings(strength=1e3), w_past=past or {})],
        optimizer=adamw(model, Training(learning_rate=1e-2)),
        accelerator=Accelerator(cpu=True),
        family="causal",
        max_grad_norm=1.0,
        total_steps=total_steps,
    )


def trained(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in learner.model.named_parameters() if tensor.requires_grad}


def test_the_loss_of_a_causal_model_is_the_models_own() -> None:
    model, batch = llama(), causal_batch()
    own = model(input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT, labels=batch.labels_BT).loss
    loss = target_loss(model, batch, "causal") / target_count(batch, "causal")
    torch.testing.assert_close(loss, own)


def test_the_loss_of_a_seq2seq_model_is_the_models_own() -> None:
    model, batch = t5(), seq2seq_batch()
    own = model(input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT, labels=batch.labels_BT).loss
    torch.testing.assert_close(target_loss(model, batch, "seq2seq") / target_count(batch, "seq2seq"), own)


def test_logits_are_formed_where_there_are_targets_only_and_the_head_is_left_as_it_was() -> None:
    model, batch = llama(), causal_batch()
    logits, targets = target_logits(model, batch, "causal")
    assert logits.shape == (target_count(batch, "causal"), model.config.vocab_size)
    assert len(targets) == len(logits)
    whole = model(input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT).logits
    assert whole.shape[:2] == batch.input_ids_BT.shape
    wanted = functional.pad(batch.labels_BT[:, 1:] != IGNORED, (0, 1))
    torch.testing.assert_close(logits, whole[wanted])


def test_micro_batches_of_unequal_length_give_the_whole_batchs_step() -> None:
    whole, split = learner_of(), learner_of()
    batch = causal_batch(rows=4)
    parts = [
        Batch(batch.input_ids_BT[rows], batch.attention_mask_BT[rows], batch.labels_BT[rows])
        for rows in (slice(0, 3), slice(3, 4))
    ]
    assert len({target_count(part, "causal") / len(part.labels_BT) for part in parts}) == 2
    for _ in range(4):
        one, two = whole.learn([batch]), split.learn(parts)
        assert one.ce_loss == pytest.approx(two.ce_loss, rel=1e-6)
    for name, tensor in trained(whole).items():
        torch.testing.assert_close(tensor, trained(split)[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 5, 7])
def test_short_runs_end_with_a_sparse_update(total_steps: int) -> None:
    learner = learner_of(total_steps)
    for step in range(total_steps):
        learner.learn([causal_batch(step)])
    assert learner.adapter.state() == {"interpolation": 1.0}
    update = torch.cat([delta.flatten() for _, delta in learner.adapter.deltas()])
    assert 0 < int(update.count_nonzero()) < update.numel()


def test_theta_gets_zeros_while_the_gate_is_open_so_adam_counts_every_step() -> None:
    learner = learner_of(10)
    (theta,) = learner.adapter.tuner.thresholds().values()  # type: ignore[attr-defined]
    learner.learn([causal_batch()])
    assert theta.grad is not None
    assert torch.equal(theta.grad, torch.zeros_like(theta))
    assert int(learner.optimizer.state[theta]["step"]) == 1
    assert float(theta.detach()) == float(torch.tensor(-4.7))


def test_the_norm_is_that_of_the_whole_gradient_before_clipping() -> None:
    past = {name: torch.ones(16, 16, dtype=torch.float64) for name in ("model.layers.0.self_attn.q_proj",)}
    learner = learner_of(10, past=past)
    figures = [learner.learn([causal_batch(step)]) for step in range(5)]
    clipped = torch.stack([p.grad.norm() for p in learner.model.parameters() if p.requires_grad]).norm()  # type: ignore[union-attr]
    assert figures[-1].grad_norm > 1
    assert float(clipped) == pytest.approx(1.0, rel=1e-5)
    assert figures[-1].objectives["ella"] > 0
    assert figures[-1].loss == figures[-1].ce_loss + figures[-1].objectives["ella"]


def test_without_a_past_the_penalty_is_exactly_zero() -> None:
    learner = learner_of(5)
    assert {learner.learn([causal_batch(step)]).objectives["ella"] for step in range(5)} == {0.0}


def test_a_loss_that_is_no_number_stops_before_the_step() -> None:
    base = llama()
    base.model.norm.weight.data.fill_(float("nan"))
    learner = learner_of(base=base)
    before = trained(learner)
    with pytest.raises(DivergedError, match="step 1"):
        learner.learn([causal_batch()])
    assert learner.step == 0
    for name, tensor in trained(learner).items():
        assert torch.equal(tensor, before[name])
