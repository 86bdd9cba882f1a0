"""The polling loop: works off what is queued, sweeps in time, outlives a registry that is away."""

import dataclasses
import threading
import time

from fake_desk import FakeDesk

from worker.control.context import WorkerContext
from worker.control.loop import Sweeper, poll


def polling(context: WorkerContext, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=lambda: poll(context, stop=stop))
    thread.start()
    return thread


def test_what_is_queued_is_worked_off_and_the_loop_stops_when_told(context: WorkerContext, desk: FakeDesk) -> None:
    desk.claimable = 2
    stop = threading.Event()
    worker = polling(context, stop)
    while desk.claimable:
        time.sleep(0.02)
    assert desk.settled.wait(30)

    stop.set()
    worker.join(30)

    assert not worker.is_alive()


def test_a_registry_that_is_away_at_first_is_waited_for(context: WorkerContext, desk: FakeDesk) -> None:
    desk.away = 3
    stop = threading.Event()
    worker = polling(context, stop)

    assert desk.settled.wait(30)
    stop.set()
    worker.join(30)

    assert desk.outcome == "published"


def test_an_idle_worker_sweeps_in_time(context: WorkerContext, desk: FakeDesk) -> None:
    desk.claimable = 0
    stop = threading.Event()
    started = time.monotonic()
    worker = polling(context, stop)
    time.sleep(0.9)
    stop.set()
    worker.join(30)
    due = (time.monotonic() - started) / context.timings.sweep

    assert 2 <= desk.sweeps <= due + 1


def test_a_busy_worker_sweeps_too(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "brief"
    stop = threading.Event()
    worker = polling(context, stop)

    assert desk.settled.wait(30)
    swept = desk.sweeps
    stop.set()
    worker.join(30)

    assert swept >= 4


def test_sweeping_more_often_costs_nothing(desk: FakeDesk) -> None:
    sweeper = Sweeper(desk, every_seconds=60)

    for _ in range(100):
        sweeper()

    assert desk.sweeps == 1


def test_stopping_puts_a_running_job_back(context: WorkerContext, desk: FakeDesk) -> None:
    desk.behaviour = "slow"
    stop = threading.Event()
    worker = polling(dataclasses.replace(context), stop)
    while not desk.events:
        time.sleep(0.02)

    stop.set()
    worker.join(30)

    assert desk.outcome == "released"
