import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from core.learning.adapters.port import Adapter
from core.learning.catalogue.parts import PARTS
from core.learning.early_stopping import HeldOut
from core.learning.training import EarlyStopping
from tests.unit.core.learning.conftest import causal_batch, llama
from tests.unit.core.learning.test_learner import learner_of


@dataclass
class Gate:
    """An adapter that settles after some step."""

    settles_after: int
    closed: bool = False

    def settled(self) -> bool:
        return self.closed

    def settle(self) -> None:
        self.closed = True

    def state(self) -> dict[str, float]:
        return {"closed": float(self.closed)}

    def restore(self, state: dict[str, float]) -> None:
        self.closed = bool(state["closed"])


@dataclass
class FakeLearner:
    """A learner whose held-out losses are told in advance, and whose one parameter is the number of its step."""

    losses: Iterator[float]
    adapter: Gate
    total_steps: int
    step: int = 0
    weight: torch.nn.Parameter = field(default_factory=lambda: torch.nn.Parameter(torch.zeros(())))

    def held_out_loss(self, _: Any) -> float:
        return next(self.losses)

    def trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [("weight", self.weight)]

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        self.weight.data.copy_(parameters["weight"])

    def take_step(self) -> None:
        self.step += 1
        self.weight.data.fill_(self.step)
        self.adapter.closed = self.adapter.closed or self.step >= self.adapter.settles_after


def run(losses: list[float], *, patience: int = 2, every: int = 1, settles_after: int = 0, total: int = 99) -> Any:
    learner: Any = FakeLearner(iter(losses), Gate(settles_after), total_steps=total)
    held_out = HeldOut(settings=EarlyStopping(patience=patience, every_steps=every), batches=[])
    while not held_out.stopped and learner.step < total:
        learner.take_step()
        held_out.after_step(learner)
    ended = learner.step
    held_out.restore_best(learner)
    return ended, int(learner.weight), held_out


def test_the_run_ends_when_patience_runs_out_and_the_best_state_comes_back() -> None:
    ended, best, held_out = run([3.0, 1.0, 2.0, 2.0])
    assert (ended, best, held_out.best_loss) == (4, 2, 1.0)


def test_a_new_best_renews_patience() -> None:
    assert run([3.0, 4.0, 2.0, 4.0, 4.0])[:2] == (5, 3)


def test_what_is_measured_is_every_nth_step_and_the_last() -> None:
    ended, best, held_out = run([3.0, 2.0, 1.0], every=4, total=10)
    assert (ended, best, held_out.loss) == (10, 10, 1.0)


def test_a_state_from_before_the_gate_closed_is_never_the_best() -> None:
    ended, best, _ = run([1.0, 0.5, 3.0, 2.5, 2.6, 2.7], settles_after=3)
    assert (ended, best) == (6, 4)


def test_a_stop_before_the_gate_closed_closes_it_and_measures_again() -> None:
    ended, best, held_out = run([1.0, 2.0, 2.0, 1.5], settles_after=50)
    assert (ended, best, held_out.loss, held_out.best_loss) == (3, 3, 1.5, 1.5)
    assert held_out.best_adapter == {"closed": 1.0}


@pytest.mark.parametrize("broken_after", [1, 2, 3])
def test_a_resumed_measurement_ends_in_the_same_state(broken_after: int) -> None:
    losses = [3.0, 1.0, 2.0, 2.5]
    learner: Any = FakeLearner(iter(losses), Gate(0), total_steps=99)
    settings = EarlyStopping(patience=2, every_steps=1)
    held_out = HeldOut(settings=settings, batches=[])
    while not held_out.stopped:
        learner.take_step()
        held_out.after_step(learner)
        if learner.step == broken_after:
            state, best = json.loads(json.dumps(held_out.state())), dict(held_out.best)
            held_out = HeldOut(settings=settings, batches=[])
            held_out.restore(state, best)
    held_out.restore_best(learner)
    assert (learner.step, int(learner.weight)) == (4, 2)


@pytest.mark.parametrize("name", PARTS["adapter"])
def test_every_adapter_is_settled_once_it_is_told_to_be(name: str) -> None:
    info = PARTS["adapter"][name]
    adapter: Adapter = info.rule_class()(info.settings(target_modules=("q_proj", "v_proj")))
    adapter.attach(llama())
    adapter.settle()
    assert adapter.settled()


def test_a_gate_that_is_closed_early_lets_through_what_merging_writes() -> None:
    learner = learner_of(total_steps=10)
    learner.learn([causal_batch()])
    assert not learner.adapter.settled()
    learner.adapter.settle()
    deltas = dict(learner.adapter.deltas())
    for name, layer in learner.adapter.layers().items():
        assert torch.equal(layer.update().value_OI, deltas[name])
        assert 0 < int(deltas[name].count_nonzero()) < deltas[name].numel()


def test_the_held_out_loss_is_a_mean_over_target_tokens_and_leaves_the_run_as_it_was() -> None:
    learner = learner_of()
    learner.model.train()
    generator = torch.get_rng_state()
    loss = learner.held_out_loss([causal_batch(1), causal_batch(2, rows=2)])
    assert math.isfinite(loss)
    assert learner.held_out_loss([causal_batch(1)]) == pytest.approx(learner.learn([causal_batch(1)]).ce_loss, rel=1e-5)
    assert torch.equal(torch.get_rng_state(), generator)
    assert learner.model.training
