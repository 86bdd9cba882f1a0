"""What an engine says of itself: requests by how they ended, tokens, waits, flips and failures."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.domain.errors import UnavailableError
from core.serving.engine import Engine
from core.serving.loading import VersionLoader
from core.serving.scheduler import Scheduler
from tests.tiny_versions import SetSource, Shelf
from tests.unit.core.serving.conftest import Desk

MANY_BYTES = 10**12


def measured(engine: Engine) -> dict[str, float]:
    found = re.findall(r"^(strata_engine_\S+?(?:{.*})?) (\S+)$", engine.meters.text(), flags=re.MULTILINE)
    return {sample: float(value) for sample, value in found}


def test_requests_are_counted_by_how_they_ended_with_their_tokens_and_waits(desk: Desk) -> None:
    first, second = desk.ask("0 1 2", max_tokens=3), desk.ask("0 1 2", max_tokens=3)
    assert measured(desk.engine)["strata_engine_requests_waiting"] == 2
    desk.work(first, second)
    found = measured(desk.engine)
    ended = {
        outcome: found.get(f'strata_engine_requests_total{{outcome="{outcome}"}}', 0.0)
        for outcome in ("stop", "length")
    }
    assert sum(ended.values()) == 2
    usage = [answer.last.usage for answer in (first, second)]
    assert found['strata_engine_tokens_total{kind="completion"}'] == sum(
        each.completion_tokens for each in usage if each
    )
    assert found['strata_engine_tokens_total{kind="prompt"}'] == sum(each.prompt_tokens for each in usage if each)
    assert found["strata_engine_batch_sequences_count"] == 1
    assert found["strata_engine_batch_sequences_sum"] == 2
    assert (
        found["strata_engine_queue_wait_seconds_count"] == found["strata_engine_time_to_first_token_seconds_count"] == 2
    )
    waited, begun = (found[f"strata_engine_{name}_seconds_sum"] for name in ("queue_wait", "time_to_first_token"))
    assert 0 <= waited < begun
    assert found["strata_engine_requests_waiting"] == 0


def test_what_failed_was_given_up_or_turned_away_is_told_apart(desk: Desk) -> None:
    broken = desk.ask("The harbour", max_tokens=5)
    desk.engine.scheduler._waiting[0].prompt = [10**6]
    desk.work(broken)
    desk.ask("0 1 2", max_tokens=50)
    desk.engine.scheduler._waiting[0].ticket.cancel()
    desk.engine.scheduler.tick()
    full = Scheduler(meters=desk.engine.meters, max_waiting=0)
    desk.ask("0 1 2")
    with pytest.raises(UnavailableError):
        full.submit([desk.engine.scheduler._waiting[0]])
    found = measured(desk.engine)
    for outcome in ("failed", "cancelled", "refused"):
        assert found[f'strata_engine_requests_total{{outcome="{outcome}"}}'] == 1, outcome


def test_flips_and_versions_that_cannot_be_loaded_are_counted(
    shelf: Shelf, source: SetSource, load: Callable[[Shelf], VersionLoader]
) -> None:
    engine = Engine(source=source, loader=load(shelf), memory_bytes=MANY_BYTES)
    original = shelf.original()
    source.point("latest", original)
    engine._refresher.step()
    source.point("latest", shelf.child(original, seed=1))
    engine._refresher.step()
    source.point("latest", replace(shelf.child(original, seed=2), digest="0" * 64))
    engine._refresher.step()
    found = measured(engine)
    assert found["strata_engine_flip_seconds_count"] == 2
    assert found['strata_engine_load_failures_total{reason="corrupt"}'] == 1
    assert found["strata_engine_versions"] == 2
    assert found["strata_engine_resident_bytes"] > found["strata_engine_weights_bytes"] > 0
