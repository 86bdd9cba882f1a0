import json
import math
from itertools import pairwise

import pytest

from core.learning.divergence import DivergedError, LossWatch

VOCABULARY = 1000
BLIND = math.log(VOCABULARY)


def steps_until_given_up(watch: LossWatch, losses: list[float], *, skipped: bool = False) -> int | None:
    for number, loss in enumerate(losses, start=1):
        try:
            watch.see(loss, skipped=skipped)
        except DivergedError:
            return number
    return None


def test_a_loss_far_over_its_best_and_over_blind_guessing_is_given_up_after_twenty_steps() -> None:
    watch = LossWatch(VOCABULARY)
    assert steps_until_given_up(watch, [1.0]) is None
    assert steps_until_given_up(watch, [2.5 * BLIND] * 50) == 20


def test_a_spike_that_recovers_is_borne() -> None:
    spiky = [1.0, *[3 * BLIND] * 19, 1.5, *[3 * BLIND] * 19, 1.5]
    assert steps_until_given_up(LossWatch(VOCABULARY), spiky) is None


@pytest.mark.parametrize("losses", [[1.0, *[1.9 * BLIND] * 99], [BLIND, *[2.9 * BLIND] * 99], [5 * BLIND] * 99])
def test_a_loss_that_is_high_in_one_way_alone_is_borne(losses: list[float]) -> None:
    assert steps_until_given_up(LossWatch(VOCABULARY), losses) is None


def test_a_falling_loss_is_never_given_up() -> None:
    falling = [10 * BLIND * 0.9**step for step in range(100)]
    assert all(before > after for before, after in pairwise(falling))
    assert steps_until_given_up(LossWatch(VOCABULARY), falling) is None


def test_overflows_of_fp16_are_borne_until_the_scale_cannot_be_what_overflows() -> None:
    watch = LossWatch(VOCABULARY)
    assert steps_until_given_up(watch, [1.0] * 39, skipped=True) is None
    assert steps_until_given_up(watch, [1.0]) is None
    assert steps_until_given_up(watch, [1.0] * 99, skipped=True) == 40


def test_a_resumed_watch_counts_on() -> None:
    watch, resumed = LossWatch(VOCABULARY), LossWatch(VOCABULARY)
    steps_until_given_up(watch, [1.0, *[3 * BLIND] * 12])
    resumed.restore(json.loads(json.dumps(watch.state())))
    assert resumed == watch
    assert steps_until_given_up(resumed, [3 * BLIND] * 50) == 8
