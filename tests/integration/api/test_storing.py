"""Files and rows stay together whatever happens at the same time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
from doors import Door, labelled

from api import storing
from core.registry import datasets as dataset_rows
from core.services import datasets
from core.services.projects import DEFAULT_PROJECT_ID
from core.storage.blobs import LocalBlobStore

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


def test_a_file_is_not_removed_while_a_row_for_it_is_on_its_way(door: Door) -> None:
    blobs, sha256 = LocalBlobStore(door.settings.blobs_dir), "ab" * 32
    file = door.settings.blobs_dir / "rows"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    blobs.adopt(file, sha256=sha256)
    remover = Thread(target=storing.remove_unused, args=(door.registry, blobs), kwargs={"sha256": sha256})
    with door.registry.write() as work:
        dataset_rows.lock_content(work, sha256)
        content = {"sha256": sha256, "size_bytes": 4, "format": "text_label", "n_rows": 1, "report": {}}
        datasets.register(work, project_id=DEFAULT_PROJECT_ID, **content)
        remover.start()
        remover.join(0.3)
    remover.join(10)
    assert blobs.path(sha256).is_file()


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
