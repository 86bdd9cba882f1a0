"""The broker dispatcher: a caller never waits for the broker and never hears of its troubles."""

import threading
import time

from celery.app.defaults import NAMESPACES, flatten

from core.dispatch.broker import BrokerDispatcher, celery_publisher
from core.dispatch.local import LocalDispatcher
from core.dispatch.protocol import celery_configuration, payload


class Broker:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_times = 0
        self.open = threading.Event()
        self.open.set()

    def __call__(self, job_id: str) -> None:
        self.open.wait(5)
        if self.fail_times > 0:
            self.fail_times -= 1
            raise ConnectionError("away")
        self.calls.append(job_id)


def test_a_wake_reaches_the_broker() -> None:
    broker = Broker()
    dispatcher = BrokerDispatcher(broker)

    dispatcher.wake("job_1")
    dispatcher.wake("job_2")
    dispatcher.close()

    assert broker.calls == ["job_1", "job_2"]


def test_a_broker_that_hangs_does_not_slow_the_caller() -> None:
    broker = Broker()
    broker.open.clear()
    dispatcher = BrokerDispatcher(broker)

    started = time.monotonic()
    for n in range(100):
        dispatcher.wake(f"job_{n}")

    assert time.monotonic() - started < 0.5
    broker.open.set()
    dispatcher.close()
    assert len(broker.calls) == 100


def test_a_failed_call_is_dropped_and_the_next_one_goes_out() -> None:
    broker = Broker()
    broker.fail_times = 1
    dispatcher = BrokerDispatcher(broker)

    dispatcher.wake("job_1")
    dispatcher.wake("job_2")
    dispatcher.close()

    assert broker.calls == ["job_2"]


def test_a_broker_that_is_not_there_raises_nothing_to_the_caller() -> None:
    dispatcher = BrokerDispatcher(celery_publisher("redis://127.0.0.1:1/0"))

    started = time.monotonic()
    dispatcher.wake("job_1")
    assert time.monotonic() - started < 0.5

    dispatcher.close(timeout_seconds=10)


def test_a_message_carries_an_id_and_a_version_and_nothing_else() -> None:
    assert payload("job_1") == {"v": 1, "job": "job_1"}


def test_every_celery_setting_is_one_that_celery_knows() -> None:
    known = {name for name, _ in flatten(NAMESPACES)}

    assert set(celery_configuration("redis://127.0.0.1:1/0")) <= known


def test_the_local_dispatcher_leaves_everything_to_the_poll() -> None:
    LocalDispatcher().wake("job_1")
