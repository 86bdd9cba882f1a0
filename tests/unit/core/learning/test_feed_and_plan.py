import random
from collections import Counter

import pytest
import torch

from core.learning.feed import Feed, in_batches
from core.learning.loss import IGNORED
from core.learning.plan import Plan
from core.learning.rows import TokenRow


def lengths_of(count: int, seed: int = 0) -> list[int]:
    generator = random.Random(seed)
    return [generator.randrange(2, 60) for _ in range(count)]


def rows_of(lengths: list[int]) -> list[TokenRow]:
    return [TokenRow.of([5] * (length - 1), [7], "causal") for length in lengths]


def padding(rows: list[TokenRow], plan: Plan, steps: int) -> int:
    feed = Feed(rows, plan, batch_size=8, pad=0)
    batches = [batch for step in range(steps) for batch in feed.batches(step)]
    return sum(int((batch.attention_mask_BT == 0).sum()) for batch in batches)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n_rows", "rows_per_step"), [(1000, 8), (1003, 16), (60, 8), (7, 3), (5, 16), (1, 1), (9, 9)])
def test_with_lengths_grouped_every_epoch_sees_every_row_once(n_rows: int, rows_per_step: int, seed: int) -> None:
    plan = Plan(n_rows, rows_per_step=rows_per_step, seed=seed, lengths=lengths_of(n_rows, seed))
    steps = 3 * n_rows // min(rows_per_step, n_rows)
    seen = [row for step in range(steps) for row in plan.rows_of(step)]
    for epoch in range(len(seen) // n_rows):
        assert Counter(seen[epoch * n_rows : (epoch + 1) * n_rows]) == Counter(range(n_rows))


def test_grouped_steps_depend_on_seed_and_step_alone_and_differ_between_epochs() -> None:
    def plan(seed: int) -> Plan:
        return Plan(200, rows_per_step=8, seed=seed, lengths=lengths_of(200))

    forward, backward = plan(1), plan(1)
    there = [forward.rows_of(step) for step in range(50)]
    assert there == [backward.rows_of(step) for step in reversed(range(50))][::-1]
    assert there != [plan(2).rows_of(step) for step in range(50)]
    assert there[:25] != there[25:]


def test_grouped_steps_need_less_than_half_of_the_padding() -> None:
    lengths = lengths_of(999)
    rows, steps = rows_of(lengths), 3 * 999 // 32
    grouped = padding(rows, Plan(999, rows_per_step=32, seed=0, lengths=lengths), steps)
    shuffled = padding(rows, Plan(999, rows_per_step=32, seed=0), steps)
    assert 0 < grouped < shuffled / 2


def test_grouped_steps_do_not_come_in_the_order_of_their_lengths() -> None:
    lengths = lengths_of(400)
    plan = Plan(400, rows_per_step=8, seed=0, lengths=lengths)
    longest = [max(lengths[row] for row in plan.rows_of(step)) for step in range(50)]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_the_ranks_together_see_each_row_of_a_step_once() -> None:
    rows = rows_of(lengths_of(24))
    feed = Feed(rows, Plan(24, rows_per_step=24, seed=0), batch_size=4, pad=0)
    alone = sum(int(batch.attention_mask_BT.sum()) for batch in feed.batches(0))
    shared = [feed.batches(0, rank=rank, ranks=4) for rank in range(4)]
    assert [len(batches) for batches in shared] == [2, 2, 1, 1]
    assert sum(int(batch.attention_mask_BT.sum()) for batches in shared for batch in batches) == alone


def test_a_rank_without_rows_gets_a_row_that_asks_for_nothing() -> None:
    feed = Feed(rows_of([4, 6]), Plan(2, rows_per_step=2, seed=0), batch_size=2, pad=0)
    (full,), (silent,) = (feed.batches(0, rank=rank, ranks=2) for rank in range(2))
    assert len(full.labels_BT) == 2
    assert len(silent.labels_BT) == 1
    assert torch.equal(silent.labels_BT, torch.full_like(silent.labels_BT, IGNORED))


def test_batches_hold_like_lengths() -> None:
    batches = in_batches(rows_of([9, 2, 8, 3]), 2, pad=0)
    assert [batch.input_ids_BT.shape for batch in batches] == [(2, 3), (2, 9)]
