"""One call of the worker's function, and what a test asks about it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from worker.control.context import WorkerContext
from worker.control.loop import run_next


def run(context: WorkerContext, *, stop: threading.Event | None = None) -> bool:
    stop = stop or threading.Event()
    return run_next(context, stop_requested=stop.is_set, chores=lambda: None)


def folder_of(context: WorkerContext) -> Path:
    return context.jobs_dir / "job_1" / "1"


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def await_that(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
