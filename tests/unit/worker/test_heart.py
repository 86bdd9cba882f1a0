"""The heartbeat of a claim: renewed in the background, and distrusted in time."""

import dataclasses
import time

import pytest
from fake_desk import QUICK, FakeDesk, job

from core.domain.errors import LostLeaseError
from worker.control.desk import Claim
from worker.control.heart import Heart

CLAIM = Claim(job=job(), fence=1, seconds_left=None)
BRIEF = dataclasses.replace(QUICK, lease=2.0, beat=0.05)


def heart_of(desk: FakeDesk) -> Heart:
    return Heart(lambda: desk.beat(CLAIM), timings=BRIEF, claimed_at=time.monotonic())


def test_a_claim_that_beats_is_trusted_beyond_its_first_lease(desk: FakeDesk) -> None:
    with heart_of(desk) as heart:
        time.sleep(2.2)

        assert not heart.lost


def test_a_claim_that_cannot_beat_is_distrusted_before_others_may_take_it(desk: FakeDesk) -> None:
    desk.away = 10_000
    claimed = time.monotonic()
    with heart_of(desk) as heart:
        while not heart.lost:
            time.sleep(0.01)

    assert time.monotonic() - claimed < BRIEF.lease


def test_a_refused_beat_is_final(desk: FakeDesk) -> None:
    desk.lost = True
    with heart_of(desk) as heart:
        time.sleep(0.2)

        assert heart.lost


def test_a_wish_to_cancel_is_heard(desk: FakeDesk) -> None:
    desk.cancel_requested = True
    with heart_of(desk) as heart:
        time.sleep(0.2)

        assert heart.cancel_requested


def test_a_write_is_tried_again_until_the_registry_is_back(desk: FakeDesk) -> None:
    with heart_of(desk) as heart:
        desk.away = 1

        heart.insist(lambda: desk.release(CLAIM))

    assert desk.outcome == "released"


def test_nothing_is_written_once_the_claim_is_lost(desk: FakeDesk) -> None:
    desk.lost = True
    with heart_of(desk) as heart:
        time.sleep(0.2)
        desk.lost = False

        with pytest.raises(LostLeaseError):
            heart.insist(lambda: desk.release(CLAIM))

    assert desk.outcome is None
