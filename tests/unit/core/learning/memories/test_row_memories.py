"""Memories that keep rows: the reservoir, every row, and the tensors that both keep them in."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from core.learning.memories.every_row.rule import EveryRow
from core.learning.memories.port import Past
from core.learning.memories.reservoir.config import ReservoirSettings
from core.learning.memories.reservoir.rule import Reservoir
from core.learning.memories.row_store import packed, unpacked
from core.learning.objectives.joint.config import JointSettings
from core.learning.objectives.joint.rule import Joint
from core.learning.objectives.replay.config import ReplaySettings
from core.learning.objectives.replay.rule import Replay
from core.learning.rows import TokenRow
from tests.unit.core.learning.merged import Merged


def numbered(first: int, count: int) -> list[TokenRow]:
    return [TokenRow([number], [number]) for number in range(first, first + count)]


def task(rows: list[TokenRow], seed: int = 42) -> Merged:
    return Merged(torch.nn.Linear(1, 1), rows=rows, seed=seed)


def reservoir(capacity: int) -> Reservoir:
    return Reservoir(ReservoirSettings(capacity=capacity))


def past(name: str, state: dict[str, Tensor]) -> Past:
    """Return the past in which a version's file left ``state``."""
    return Past(chain=[], states={name: load(save(state))}, modules=(), device=torch.device("cpu"))


@pytest.mark.parametrize("seed", range(20))
def test_rows_of_any_lengths_come_back_as_they_were(seed: int) -> None:
    generator = Random(seed)

    def tokens() -> list[int]:
        return [generator.choice([-100, 0, 1, 2**31 - 1]) for _ in range(generator.randrange(6))]

    rows = [TokenRow(tokens(), tokens()) for _ in range(generator.randrange(8))]
    assert unpacked(load(save(packed(rows)))) == rows


def test_no_rows_at_all_come_back_as_none() -> None:
    assert unpacked(load(save(packed([])))) == []


def test_every_row_of_ten_thousand_has_the_same_chance_to_stay() -> None:
    kept = reservoir(1000)
    sizes = (4000, 1000, 3000, 2000)
    for number, size in enumerate(sizes):
        kept.observe(task(numbered(sum(sizes[:number]), size)))
    assert kept.seen == 10_000
    assert len({row.labels[0] for row in kept}) == 1000
    counts = [0] * 20
    for row in kept:
        counts[row.labels[0] // 500] += 1
    # Twenty bins of 50 expected; of a sample without replacement the statistic is a little below chi-square with 19
    # degrees of freedom, whose quantile of 0.999 is 43.8.
    assert sum((count - 50) ** 2 / 50 for count in counts) < 43.8


def test_over_many_seeds_the_first_and_the_last_row_stay_equally_often() -> None:
    stayed = {0: 0, 99: 0}
    for seed in range(1000):
        kept = reservoir(10)
        for first in range(0, 100, 20):
            kept.observe(task(numbered(first, 20), seed=seed))
        for row in kept:
            if row.labels[0] in stayed:
                stayed[row.labels[0]] += 1
    # 100 of 1000 are expected, with a standard deviation of 9.5.
    assert all(60 < count < 140 for count in stayed.values())


def test_tasks_of_one_seed_and_size_draw_different_numbers() -> None:
    kept = reservoir(1000)
    for first in (0, 100, 200):
        kept.observe(task(numbered(first, 100)))
    assert len(set(kept.state()["numbers"].tolist())) == 300


@pytest.mark.parametrize("capacity", [1, 7, 30, 31])
def test_the_reservoir_holds_what_there_is_up_to_its_capacity(capacity: int) -> None:
    kept = reservoir(capacity)
    assert len(kept) == 0
    for number in range(3):
        kept.observe(task(numbered(10 * number, 10)))
        assert len(kept) == min(capacity, 10 * (number + 1))


def test_a_reservoir_that_was_put_down_and_taken_up_goes_on_in_the_same_bits() -> None:
    straight, first = reservoir(8), reservoir(8)
    for each in (straight, first):
        each.observe(task(numbered(0, 20)))
    again = reservoir(8)
    again.recall(past("reservoir", first.state()))
    assert list(again) == list(first)
    for each in (straight, again):
        each.observe(task(numbered(20, 20)))
    assert list(straight) == list(again)
    for name, tensor in straight.state().items():
        assert torch.equal(tensor, again.state()[name])


def test_a_smaller_capacity_later_leaves_a_part_of_the_sample() -> None:
    large, small = reservoir(50), reservoir(5)
    large.observe(task(numbered(0, 100)))
    small.recall(past("reservoir", large.state()))
    small.observe(task(numbered(100, 1)))
    assert len(small) == 5
    assert {row.labels[0] for row in small} <= {row.labels[0] for row in large} | {100}


def test_the_first_few_rows_are_others_after_each_task() -> None:
    kept = reservoir(100)
    kept.observe(task(numbered(0, 100)))
    before = list(kept[:10])
    kept.observe(task([], seed=43))
    assert {row.labels[0] for row in kept} == set(range(100))
    assert list(kept[:10]) != before


def test_replay_adds_its_share_of_remembered_rows_and_no_more_than_there_are() -> None:
    kept = reservoir(100)
    kept.observe(task(numbered(0, 30)))
    own = numbered(500, 40)
    for ratio, remembered in ((0.0, 0), (0.25, 10), (0.5, 20), (2.0, 30)):
        rows = list(Replay(ReplaySettings(ratio=ratio), reservoir=kept).training_rows(own))
        assert rows[:40] == own
        assert len(rows) == 40 + remembered
        assert {row.labels[0] for row in rows[40:]} <= set(range(30))
        assert len({row.labels[0] for row in rows}) == len(rows)


def test_without_a_past_replay_and_joint_learn_the_tasks_own_rows_alone() -> None:
    own = numbered(0, 5)
    assert list(Replay(ReplaySettings(), reservoir=Reservoir()).training_rows(own)) == own
    assert list(Joint(JointSettings(), every_row=EveryRow()).training_rows(own)) == own


def test_joint_learns_every_row_of_every_task() -> None:
    memory = EveryRow()
    for first in (0, 3):
        memory.observe(task(numbered(first, 3)))
    again = EveryRow()
    again.recall(past("every_row", memory.state()))
    rows = list(Joint(JointSettings(), every_row=again).training_rows(numbered(6, 3)))
    assert rows == numbered(0, 9)


@pytest.mark.parametrize("memory", [lambda: reservoir(12), EveryRow], ids=["reservoir", "every_row"])
@pytest.mark.parametrize("gone", [{0}, {1}, {2}, {0, 1}])
def test_the_rows_of_a_task_are_let_go_and_no_others(memory: Callable[[], Any], gone: set[int]) -> None:
    kept, states = memory(), [{}]
    for n in range(3):
        kept.observe(task(numbered(10 * n, 8), seed=n))
        states.append(kept.state())
    state = states[-1]
    for n in gone:
        state = type(kept).without(state, found=states[n], left=states[n + 1])
    assert [row.labels for row in unpacked(state)] == [row.labels for row in kept if row.labels[0] // 10 not in gone]
    again = memory()
    again.recall(past("reservoir" if isinstance(kept, Reservoir) else "every_row", state))
    again.observe(task(numbered(30, 8), seed=3))
    assert {row.labels[0] // 10 for row in again} <= {0, 1, 2, 3} - gone


def test_of_rows_that_two_tasks_share_the_others_stay() -> None:
    kept = EveryRow()
    kept.observe(task(numbered(0, 4)))
    first = kept.state()
    kept.observe(task(numbered(2, 4)))
    state = EveryRow.without(kept.state(), found={}, left=first)
    assert [row.labels[0] for row in unpacked(state)] == [2, 3, 4, 5]
