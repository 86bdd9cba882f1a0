"""Bounds against figures from tables, and against simulation."""

import math
import random

import pytest

from core.domain import bounds
from core.domain.statistics import Sample


@pytest.mark.parametrize(
    ("right", "total", "confidence", "low"),
    [
        # Clopper and Pearson's tables: 95 % one-sided and 97.5 %.
        (10, 10, 0.95, 0.7411),
        (8, 10, 0.975, 0.4439),
        (15, 20, 0.95, 0.5444),
        (1, 10, 0.975, 0.0025),
        (50, 100, 0.975, 0.3983),
    ],
)
def test_the_exact_bound_of_a_share_is_that_of_the_tables(
    right: int, total: int, confidence: float, low: float
) -> None:
    assert bounds.proportion_low(right, total, confidence=confidence) == pytest.approx(low, abs=5e-4)


def test_of_a_share_that_is_nothing_or_everything_the_bound_is_known() -> None:
    assert bounds.proportion_low(0, 20, confidence=0.99) == 0
    assert bounds.proportion_low(20, 20, confidence=0.99) == pytest.approx(0.01 ** (1 / 20))
    assert bounds.proportion_low(100_000, 100_000, confidence=0.99) == pytest.approx(0.01 ** (1 / 100_000))


@pytest.mark.parametrize(
    ("confidence", "degrees", "quantile"),
    [(0.95, 10, 1.8125), (0.99, 10, 2.7638), (0.99, 19, 2.5395), (0.999, 19, 3.5794), (0.9999, 39, 4.0942)],
)
def test_students_quantiles_are_those_of_the_tables(confidence: float, degrees: int, quantile: float) -> None:
    assert bounds.student(confidence, degrees=degrees) == pytest.approx(quantile, rel=5e-3)


def test_the_bound_of_a_mean_holds_as_often_as_it_says() -> None:
    generator = random.Random(0)
    held = 0
    for _ in range(2000):
        rows = [float(generator.random() < 0.7) for _ in range(40)]
        held += bounds.low(Sample(rows), confidence=0.95) <= 0.7
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_rows_of_many_units_count_for_more() -> None:
    even = Sample([5.0, 5.0, 9.0, 9.0], [10, 10, 10, 10])
    assert even.value == pytest.approx(0.7)
    assert bounds.variance_of(even) == pytest.approx(bounds.variance_of(Sample([0.5, 0.5, 0.9, 0.9])))
    one_long = Sample([50.0, 0.0, 0.0], [100, 1, 1])
    assert math.sqrt(bounds.variance_of(one_long)) < 0.1
