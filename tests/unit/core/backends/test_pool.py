"""Several engines behind one door: who is asked, who is left out, and who takes over; each engine is a real server."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from loopback import served

from core.backends.engine import EngineClient
from core.backends.member import MAX_BACK_OFF_SECONDS, Member
from core.backends.pool import Pool
from core.domain.backends import Departure, Question
from core.domain.errors import InvalidError, NotReadyError, StrataError, UnavailableError
from tests.fake_engine import FakeEngine

POLL_SECONDS = 0.05


@contextmanager
def pooled(*engines: FakeEngine, models: dict[str, frozenset[str]] | None = None, late: float = 5) -> Iterator[Pool]:
    """A pool of engines that answer, whose state is known."""
    with ExitStack() as serving:
        members = [
            Member(
                engine.name,
                EngineClient(serving.enter_context(served(engine.app())), timeout_seconds=late),
                models=(models or {}).get(engine.name),
            )
            for engine in engines
        ]
        pool = Pool(members, poll_seconds=POLL_SECONDS)
        pool.standings()
        yield pool
        pool.close()


def ask(reference: str = "mdl_1:latest", *, version: str = "ver_1", **request: object) -> Question:
    asked = {"model": reference, "prompt": "?", **request}
    return Question(request=asked, model_id="mdl_1", version_id=version, departure=Departure())


def by(pool: Pool, question: Question | None = None) -> str:
    return str(pool.generate(question or ask())["by"])


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_engine_that_holds_the_version_is_preferred_by_alias_and_by_id() -> None:
    old, new = FakeEngine("old", live={"ver_1": ["latest"]}), FakeEngine("new", live={"ver_2": ["stable"]})
    with pooled(old, new) as pool:
        assert {by(pool) for _ in range(4)} == {"old"}
        assert by(pool, ask("mdl_1:stable", version="ver_2")) == "new"
        assert by(pool, ask("ver_2", version="ver_2")) == "new"
        assert by(pool, ask("ver_1")) == "old"


def test_who_neither_holds_a_version_nor_loads_it_is_not_asked() -> None:
    bridge, engine = FakeEngine("bridge", live={"ver_1": ["latest"]}, loads=False), FakeEngine("engine")
    with pooled(bridge, engine) as pool:
        assert by(pool, ask("ver_9", version="ver_9")) == "engine"
        engine.loads = False
        pool.standings()
        refusal = _refusal(pool, ask("ver_9", version="ver_9"))
        assert (type(refusal), refusal.code) == (NotReadyError, "version_loading")
    assert [each["model"] for each in bridge.asked] == []


def test_of_equal_engines_the_least_loaded_is_asked() -> None:
    busy, idle = FakeEngine("busy", live={"ver_1": ["latest"]}), FakeEngine("idle", live={"ver_1": ["latest"]})
    busy.requests = 5
    with pooled(busy, idle) as pool:
        assert {by(pool) for _ in range(3)} == {"idle"}
        busy.answer_seconds = idle.answer_seconds = 0.3
        busy.requests = 0
        pool.standings()
        with ThreadPoolExecutor(8) as callers:
            answered = list(callers.map(lambda _: by(pool), range(8)))
    assert 3 <= answered.count("idle") <= 5


def test_models_that_are_given_to_a_backend_are_asked_of_it_alone() -> None:
    own, rest = FakeEngine("own"), FakeEngine("rest")
    with pooled(own, rest, models={"own": frozenset({"mdl_1"})}) as pool:
        assert {by(pool) for _ in range(3)} == {"own"}
        other = Question(request={"model": "mdl_2:latest"}, model_id="mdl_2", version_id="v", departure=Departure())
        assert by(pool, other) == "rest"


def test_an_engine_that_fails_is_left_out_while_others_answer_and_taken_back() -> None:
    first, second = FakeEngine("first", live={"ver_1": ["latest"]}), FakeEngine("second")
    with pooled(first, second) as pool:
        assert by(pool) == "first"
        first.is_well = False
        until(lambda: pool.standings()["first"].fault is not None)
        assert by(pool) == "second"
        first.is_well = True
        until(lambda: by(pool) == "first")


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_a_request_that_was_not_answered_yet_goes_to_another_engine(way: str) -> None:
    busy, other = FakeEngine("busy", live={"ver_1": ["latest"]}), FakeEngine("other")
    busy.refuses = (503, "engine_busy")
    with pooled(busy, other) as pool:
        answered = next(pool.stream(ask())) if way == "stream" else pool.generate(ask())
        assert answered["by"] == "other"
        assert pool.standings()["busy"].failovers == 1
        other.refuses = (503, "engine_busy")
        assert _refusal(pool, ask()).code == "engine_busy"


def test_what_is_wrong_with_a_request_is_wrong_at_every_engine() -> None:
    first, second = FakeEngine("first", live={"ver_1": ["latest"]}), FakeEngine("second")
    first.refuses = (422, "context_length_exceeded")
    with pooled(first, second) as pool:
        assert isinstance(_refusal(pool, ask()), InvalidError)
    assert second.asked == []


def test_an_answer_that_has_begun_is_never_taken_over() -> None:
    dying, other = FakeEngine("dying", live={"ver_1": ["latest"]}), FakeEngine("other")
    dying.breaks_after = 2
    with pooled(dying, other) as pool:
        pieces = pool.stream(ask())
        assert [next(pieces)["choices"][0]["text"] for _ in range(2)] == ["0 ", "1 "]
        with pytest.raises(UnavailableError):
            next(pieces)
        dying.breaks_after = 0
        assert [piece["by"] for piece in pool.stream(ask())] == ["other"] * 4
    assert len(other.asked) == 1


def test_an_engine_that_is_late_is_not_waited_for_twice() -> None:
    slow, other = FakeEngine("slow", live={"ver_1": ["latest"]}), FakeEngine("other")
    slow.answer_seconds = 30
    with pooled(slow, other, late=0.3) as pool:
        assert _refusal(pool, ask()).code == "engine_unavailable"
    assert other.asked == []


def test_a_request_that_moves_on_takes_what_is_left_of_its_time_along() -> None:
    busy, other = FakeEngine("busy", live={"ver_1": ["latest"]}), FakeEngine("other")
    busy.refuses = (503, "engine_busy")
    with pooled(busy, other) as pool:
        by(pool, ask(timeout_seconds=10.0))
        assert 0 < other.asked[0]["timeout_seconds"] < busy.asked[0]["timeout_seconds"] <= 10
        assert _refusal(pool, ask(timeout_seconds=-1.0)).code == "deadline_exceeded"


def test_streams_count_until_they_end_also_when_they_are_left() -> None:
    first, second = FakeEngine("first", live={"ver_1": ["latest"]}), FakeEngine("second")
    first.answer_seconds = 5
    with pooled(first, second) as pool:
        pieces = pool.stream(ask())
        next(pieces)
        assert pool.standings()["first"].requests == 1
        pieces.close()
        assert pool.standings()["first"].requests == 0
        until(lambda: first.left == 1)


def test_with_nobody_there_the_caller_is_told_so() -> None:
    only, other = FakeEngine("only"), FakeEngine("other")
    with pooled(only, other) as pool:
        pass
    pool.standings()
    assert _refusal(pool, ask()).code == "engine_unavailable"
    pool.close()


def test_a_single_engine_is_always_asked_and_never_watched() -> None:
    engine = FakeEngine("engine")
    engine.is_well = False
    with pooled(engine) as pool:
        assert by(pool) == "engine"
        engine.refuses = (503, "engine_busy")
        assert _refusal(pool, ask()).code == "engine_busy"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("watch-")]


def test_who_is_held_gets_nothing_new_and_is_idle_once_its_answers_are_over() -> None:
    first, second = FakeEngine("first", live={"ver_1": ["latest"]}), FakeEngine("second")
    first.answer_seconds = 0.05
    with pooled(first, second) as pool:
        member = pool._members[0]
        pieces = pool.stream(ask())
        next(pieces)
        assert not member.hold(within_seconds=0.05)
        assert by(pool) == "second"
        threading.Thread(target=lambda: list(pieces)).start()
        assert member.hold(within_seconds=5)
        member.release()
        assert by(pool) == "first"


def test_a_backend_that_stays_away_is_asked_ever_more_rarely() -> None:
    member = Member("away", EngineClient("unix:/nowhere/engine.sock"))
    waits = []
    for _ in range(12):
        member.look()
        waits.append(member.next_look_seconds(0.5))
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert waits[-1] == MAX_BACK_OFF_SECONDS


def _refusal(pool: Pool, question: Question) -> StrataError:
    with pytest.raises(StrataError) as raised:
        pool.generate(question)
    return raised.value
