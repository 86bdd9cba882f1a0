"""Intervals and tests, against what is known of them in closed form."""

import math
import random
import time

import pytest

from core.domain.statistics import Sample, differences, interval, sign_test


def test_a_samples_value_is_its_mean_over_all_units() -> None:
    assert Sample((1, 0, 1, 1)).value == 0.75
    assert Sample((3, 1), (4, 12)).value == 0.25


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution() -> None:
    found = interval(Sample([1] * 150 + [0] * 50))
    spread = 1.96 * math.sqrt(0.75 * 0.25 / 200)
    assert (found.low, found.high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.012)
    narrower = interval(Sample([1] * 150 + [0] * 50), confidence=0.5)
    assert found.low < narrower.low < 0.75 < narrower.high < found.high


def test_rows_that_all_agree_do_not_prove_certainty() -> None:
    right, wrong = interval(Sample((1, 1, 1, 1, 1))), interval(Sample((0.0,) * 5))
    assert (right.low, right.high) == (pytest.approx(0.025**0.2), 1)
    assert (wrong.low, wrong.high) == (0, pytest.approx(1 - 0.025**0.2))


def test_many_rows_are_not_drawn_one_by_one_and_give_the_same_interval() -> None:
    generator = random.Random(1)
    few = [generator.random() for _ in range(1_000)]
    drawn, normal = interval(Sample(few)), interval(Sample([*few, 0.5]))
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.003)
    sized = Sample([3 * value for value in few], [3] * 1_000), Sample([3 * value for value in [*few, 0.5]], [3] * 1_001)
    for sample in sized:
        found = interval(sample)
        assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.003)


def test_the_mean_of_several_tasks_is_surer_than_each() -> None:
    samples = [Sample([1] * right + [0] * (50 - right)) for right in (20, 30, 40)]
    found = interval(*samples)
    widths = [each.high - each.low for each in map(interval, samples)]
    assert found.low < 0.6 < found.high
    assert found.high - found.low < min(widths)


def test_the_same_rows_always_have_the_same_bounds() -> None:
    sample = Sample([0.25, 1, 0.5, 0])
    assert interval(sample) == interval(sample)


def test_fifteen_tasks_of_two_hundred_rows_take_no_seconds() -> None:
    samples = [Sample([(row * task) % 3 == 0 for row in range(200)]) for task in range(1, 16)]
    began = time.process_time()
    interval(*samples)
    assert time.process_time() - began < 2


def test_differences_are_taken_row_by_row() -> None:
    assert differences(Sample((1, 0, 1)), Sample((1, 1, 0))).outcomes == [0, 1, -1]
    assert differences(Sample((4, 2), (8, 2)), Sample((6, 2), (8, 2))).value == 0.2
    with pytest.raises(ValueError, match="rows"):
        differences(Sample((1, 2), (3, 4)), Sample((1, 2), (3, 5)))
    with pytest.raises(ValueError, match="shorter"):
        differences(Sample((1, 2)), Sample((1,)))


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 2 / 32), (3, 3, 1.0), (1, 9, 2 * 11 / 1024), (10, 0, 2 / 1024)],
)
def test_the_sign_test_counts_how_unlikely_it_is_that_so_few_go_the_other_way(
    better: int, worse: int, expected: float
) -> None:
    changes = Sample([1] * better + [-1] * worse + [0] * 7)
    assert sign_test(changes) == pytest.approx(expected)


def test_the_sign_test_takes_files_of_any_size() -> None:
    assert sign_test(Sample([1] * 50_000 + [-1] * 50_000)) == 1
    assert sign_test(Sample([1] * 51_000 + [-1] * 49_000)) == pytest.approx(2.6e-10, rel=0.1)
