"""The count of answers under way: of a project, and of all together."""

import pytest

from api.generation_room import MAX_OPEN, GenerationRoom
from core.domain.access import Caller
from core.domain.errors import QuotaError, UnavailableError


def caller(project: str, *, most: int | None = None) -> Caller:
    return Caller(
        project_id=project, key_id=None, scopes=frozenset(), max_requests_per_minute=None, max_generations=most
    )


def test_all_projects_together_are_bounded_too_and_places_come_back() -> None:
    room = GenerationRoom(project_most=4, most=5)
    for _ in range(4):
        room.enter(caller("one"))
    with pytest.raises(QuotaError) as full:
        room.enter(caller("one"))
    assert (full.value.code, full.value.retry_after_seconds) == ("too_many_generations", 1)
    room.enter(caller("two"))
    with pytest.raises(UnavailableError) as busy:
        room.enter(caller("two"))
    assert busy.value.code == "engine_busy"
    room.leave(caller("one"))
    room.enter(caller("two"))
    assert (room.under_way("one"), room.under_way("two"), room.under_way("three")) == (3, 2, 0)


def test_a_quota_may_be_more_than_the_services_limit_or_none_at_all() -> None:
    room = GenerationRoom(project_most=1)
    for _ in range(3):
        room.enter(caller("paying", most=3))
    with pytest.raises(QuotaError):
        room.enter(caller("paying", most=3))
    with pytest.raises(QuotaError):
        room.enter(caller("closed", most=0))
    assert room.limiter.total_tokens <= MAX_OPEN
