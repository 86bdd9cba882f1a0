import math
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from core.learning.adapters.lora.rule import Lora
from core.learning.learner import Learner, adamw
from core.learning.objectives.lwf.config import LwfSettings
from core.learning.objectives.lwf.rule import Lwf
from core.learning.objectives.port import Answers
from core.learning.training import Training
from tests.unit.core.learning.conftest import causal_batch, llama
from tests.unit.core.learning.objectives.test_ella import attached


def divergence(before: list[float], now: list[float], temperature: float) -> float:
    """Return KL(before || now) of two softened distributions, by hand."""

    def softened(logits: list[float]) -> list[float]:
        weights = [math.exp(logit / temperature) for logit in logits]
        return [weight / sum(weights) for weight in weights]

    return sum(p * math.log(p / q) for p, q in zip(softened(before), softened(now), strict=True))


def answers(now_KV: Tensor, before_KV: Tensor | None) -> Answers:
    targets_K = torch.zeros(len(now_KV), dtype=torch.int64)
    return Answers(now_KV, targets_K, None if before_KV is None else lambda: before_KV)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_term_is_the_divergence_of_explicit_distributions(temperature: float) -> None:
    before, now = [[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], [[1.0, 1.0, -2.0], [0.0, 0.0, 0.0]]
    lwf = Lwf(LwfSettings(strength=3.0, temperature=temperature))
    term = lwf.batch_loss(
        answers(torch.tensor(now, dtype=torch.float64), torch.tensor(before, dtype=torch.float64)),
    )
    wanted = sum(divergence(b, n, temperature) for b, n in zip(before, now, strict=True))
    assert term is not None
    assert float(term) == pytest.approx(3.0 * temperature**2 * wanted, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_gradient_is_that_of_soft_targets_and_the_teacher_gets_none(temperature: float) -> None:
    generator = torch.Generator().manual_seed(1)
    now, before = (torch.randn(5, 7, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    term = Lwf(LwfSettings(strength=1.0, temperature=temperature)).batch_loss(answers(now, before))
    assert term is not None
    term.backward()  # type: ignore[no-untyped-call]
    # d/dz of T^2 KL(p || softmax(z / T)) is T (softmax(z / T) - p).
    wanted = temperature * ((now / temperature).softmax(-1) - (before / temperature).softmax(-1)).detach()
    torch.testing.assert_close(now.grad, wanted)
    assert before.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_answers_cost_exactly_nothing(dtype: torch.dtype) -> None:
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(2)).to(dtype)
    assert float(Lwf(LwfSettings()).batch_loss(answers(logits, logits.clone())) or 0.0) == 0.0


def test_before_there_is_a_past_there_is_no_teacher_and_no_term() -> None:
    assert Lwf(LwfSettings()).batch_loss(answers(torch.zeros(2, 3), None)) is None


def test_a_strength_of_zero_never_asks_the_teacher() -> None:
    def refuse() -> Tensor:
        raise AssertionError("the teacher was asked")

    asked = Answers(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), refuse)
    assert Lwf(LwfSettings(strength=0)).batch_loss(asked) is None


def learner_of(kind: str, *, fresh: bool, has_past: bool = True) -> Learner:
    adapter: Any = attached(kind)
    if fresh:
        for view in adapter.layers().values():
            torch.nn.init.zeros_(view.layer.lora_B["default"].weight)
    model = adapter._model
    return Learner(
        model=model,
        adapter=adapter,
        objectives=[Lwf(LwfSettings(strength=1.0))],
        optimizer=adamw(model, Training(learning_rate=1e-2)),
        accelerator=Accelerator(cpu=True),
        family="causal",
        max_grad_norm=1e6,
        total_steps=4,
        has_past=has_past,
    )


@pytest.mark.parametrize("kind", ["lora", "jumplora"])
def test_while_the_adapter_is_fresh_the_term_is_exactly_zero(kind: str) -> None:
    assert learner_of(kind, fresh=True).learn([causal_batch()]).objectives["lwf"] == 0.0
    assert learner_of(kind, fresh=False).learn([causal_batch()]).objectives["lwf"] > 0.0
    assert learner_of(kind, fresh=False, has_past=False).learn([causal_batch()]).objectives["lwf"] == 0.0


@pytest.mark.parametrize("kind", ["lora", "jumplora"])
def test_the_teacher_is_the_model_without_its_adapter_and_learns_nothing(kind: str) -> None:
    learner, batch = learner_of(kind, fresh=False), causal_batch()
    before_KV = learner._before(batch)
    plain: Any = llama()
    wanted = plain(input_ids=batch.input_ids_BT, attention_mask=batch.attention_mask_BT).logits
    rows, places = (batch.labels_BT[:, 1:] != -100).nonzero(as_tuple=True)
    torch.testing.assert_close(before_KV, wanted[rows, places])
    assert not before_KV.requires_grad
    learner.learn([batch])
    assert {name for name, tensor in learner.model.named_parameters() if tensor.grad is not None} == {
        name for name, tensor in learner.model.named_parameters() if tensor.requires_grad
    }


def test_the_step_follows_the_sum_of_both_losses() -> None:
    learner, batch = learner_of("lora", fresh=False), causal_batch()
    adapter = learner.adapter
    assert isinstance(adapter, Lora)
    model = learner.model
    rows, places = (batch.labels_BT[:, 1:] != -100).nonzero(as_tuple=True)
    inputs = {"input_ids": batch.input_ids_BT, "attention_mask": batch.attention_mask_BT}
    now_KV = model(**inputs).logits[rows, places]
    with torch.no_grad(), model.disable_adapter():
        before_KV = model(**inputs).logits[rows, places]
    targets_K = batch.labels_BT[:, 1:][rows, places]
    ce = torch.nn.functional.cross_entropy(now_KV, targets_K)
    soft_p, soft_q = (before_KV / 2).softmax(-1), (now_KV / 2).log_softmax(-1)
    kl = (soft_p * (soft_p.log() - soft_q)).sum() * 4 / len(targets_K)
    factors = [factor for view in adapter.layers().values() for factor in (view.factors.a_RI, view.factors.b_OR)]
    gradients = torch.autograd.grad(ce + kl, factors)
    figures = learner.learn([batch])
    assert figures.ce_loss == pytest.approx(float(ce.detach()), rel=1e-5)
    assert figures.objectives["lwf"] == pytest.approx(float(kl.detach()), rel=1e-5)
    for factor, wanted in zip(factors, gradients, strict=True):
        torch.testing.assert_close(factor.grad, wanted, rtol=1e-4, atol=1e-7)
