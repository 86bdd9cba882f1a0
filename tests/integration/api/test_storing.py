"""Files and rows stay together whatever happens at the same time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doors import Door, labelled

THREADS = 60


def post(desk: Door, n: int, content: bytes, model: str = "desk") -> int:
    status: int = desk.post_task(fields={"model": model, "name": f"t{n}"}, file=content).status_code
    return status


def test_many_callers_at_once_are_all_served(desk: Door) -> None:
    """More callers than the API has threads, all of them writing: none may wait for another for ever."""
    with ThreadPoolExecutor(THREADS) as pool:
        statuses = list(pool.map(lambda n: post(desk, n, labelled(20, start=n)), range(THREADS)))
    assert statuses == [202] * THREADS
    assert len(desk.wakes.job_ids) == THREADS


def test_a_failing_twin_never_takes_a_stored_file_away(desk: Door) -> None:
    """The same content posted by some who succeed and some who fail: what has a row has its file."""
    for attempt in range(8):
        content = labelled(20, start=1_000 * attempt)
        models = ["desk", "nobody"] * 4
        with ThreadPoolExecutor(len(models)) as pool:
            list(
                pool.map(lambda pair, c=content, a=attempt: post(desk, 10 * a + pair[0], c, pair[1]), enumerate(models))
            )
    rows, files = desk.contents()
    assert files == sorted(f"blobs/{row[2]}" for row in rows["dataset"])
    assert len(rows["task"]) == 32


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_task_of_a_thousand_rows_is_posted_within_300_ms(desk: Door) -> None:
    rows = [
        {"text": f"note {n}: the pump in hall {n % 7} needs a new seal before the week is over", "label": f"l{n % 4}"}
        for n in range(1_000)
    ]
    seconds = []
    for n in range(5):
        content = "".join(json.dumps({**row, "text": f"{n} {row['text']}"}) + "\n" for row in rows).encode()
        start = time.perf_counter()
        assert post(desk, n, content) == 202
        seconds.append(time.perf_counter() - start)
    # The promise is for an idle machine; the best of five is what this one can do beside other work.
    assert min(seconds) < 0.3
