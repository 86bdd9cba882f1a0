import math
from typing import Any

import pytest

from core.learning.training import Training


def factors(total_steps: int, **settings: Any) -> list[float]:
    training = Training.model_validate(settings)
    return [training.rate_factor(step, total_steps=total_steps) for step in range(total_steps)]


def test_the_rate_is_constant_unless_asked_otherwise() -> None:
    assert factors(7) == [1.0] * 7


def test_the_warm_up_rises_to_the_whole_rate() -> None:
    assert factors(10, warmup_ratio=0.4) == [0.25, 0.5, 0.75, 1.0, *[1.0] * 6]


def test_a_linear_rate_falls_to_just_over_zero() -> None:
    assert factors(5, lr_schedule="linear") == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert factors(6, lr_schedule="linear", warmup_ratio=0.34) == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


def test_a_cosine_rate_is_half_at_half_time() -> None:
    rates = factors(8, lr_schedule="cosine")
    assert rates[0] == 1.0
    assert rates[4] == pytest.approx(0.5)
    assert rates[7] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


def test_the_last_share_of_a_stable_rate_falls() -> None:
    rates = factors(10, lr_schedule="warmup_stable_decay", warmup_ratio=0.2, decay_ratio=0.4)
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "warmup_stable_decay"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 17, 1000])
def test_every_step_has_a_rate_over_zero_and_at_most_the_whole_one(
    total_steps: int, warmup: float, schedule: str
) -> None:
    rates = factors(total_steps, lr_schedule=schedule, warmup_ratio=warmup, decay_ratio=0.5)
    assert all(0 < rate <= 1 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
