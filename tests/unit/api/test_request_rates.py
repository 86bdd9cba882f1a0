"""Requests a minute: a bucket a project, by a clock of the test's own."""

import pytest

from api.request_rates import RequestRates
from core.domain.errors import QuotaError


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def refused(rates: RequestRates, project: str, per_minute: int) -> int:
    with pytest.raises(QuotaError) as refusal:
        rates.take(project, per_minute=per_minute)
    assert refusal.value.code == "rate_limited"
    return refusal.value.retry_after_seconds


def test_a_minutes_requests_may_come_at_once_and_then_as_fast_as_they_are_refilled() -> None:
    clock = Clock()
    rates = RequestRates(clock)
    for _ in range(6):
        rates.take("prj_a", per_minute=6)
    assert refused(rates, "prj_a", 6) == 10
    clock.seconds += 4
    assert refused(rates, "prj_a", 6) == 6
    clock.seconds += 6
    rates.take("prj_a", per_minute=6)
    assert refused(rates, "prj_a", 6) == 10


def test_silence_saves_up_a_minute_at_most() -> None:
    clock = Clock()
    rates = RequestRates(clock)
    rates.take("prj_a", per_minute=2)
    clock.seconds += 3600
    for _ in range(2):
        rates.take("prj_a", per_minute=2)
    refused(rates, "prj_a", 2)


def test_projects_do_not_share() -> None:
    rates = RequestRates(Clock())
    rates.take("prj_a", per_minute=1)
    rates.take("prj_b", per_minute=1)
    refused(rates, "prj_a", 1)


def test_none_a_minute_is_none() -> None:
    assert refused(RequestRates(Clock()), "prj_a", 0) == 60
