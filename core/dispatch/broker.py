"""Dispatch over a Celery broker: wake-up calls leave from a thread of their own."""

import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol, Self

import structlog
from celery import Celery

from core.dispatch.protocol import QUEUE, WAKE_TASK, celery_configuration, payload
from core.domain.crash_points import crash_point

log = structlog.get_logger()

_MAX_WAITING: Final = 10_000


class Publish(Protocol):
    """Sends one wake-up call, or raises whatever the broker's library raises."""

    def __call__(self, job_id: str) -> None:
        """Send the call for ``job_id``."""


def celery_publisher(broker_url: str) -> Publish:
    """Return a publisher over ``broker_url``; it connects on first use."""
    app = Celery("strata", set_as_current=False)
    app.conf.update(celery_configuration(broker_url))

    def publish(job_id: str) -> None:
        app.send_task(WAKE_TASK, args=[payload(job_id)], queue=QUEUE, retry=False, ignore_result=True)

    return publish


class BrokerDispatcher:
    """The `core.domain.ports.Dispatcher` over a broker.

    `wake` only notes the job and returns: a broker that is slow or away neither fails nor delays the caller. A call
    that cannot be sent is dropped and logged; the periodic sweep wakes what is queued once the broker is back.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: queue.Queue[str | None] = queue.Queue(_MAX_WAITING)
        self._relay = threading.Thread(target=self._relay_calls, name="wake-relay", daemon=True)
        self._starting = threading.Lock()

    @classmethod
    def over(cls, broker_url: str) -> Self:
        """Return a dispatcher over the broker at ``broker_url``."""
        return cls(celery_publisher(broker_url))

    def wake(self, job_id: str) -> None:
        """Hint that ``job_id`` is queued; never waits, never raises for the broker's sake."""
        self._ensure_relay()
        try:
            self._waiting.put_nowait(job_id)
        except queue.Full:
            log.warning("wake.dropped", job_id=job_id, reason="too many calls are waiting for the broker")

    def close(self, *, timeout_seconds: float = 5.0) -> None:
        """Send what is waiting, for ``timeout_seconds`` at most, and stop."""
        if self._relay.is_alive():
            self._offer(None)
            self._relay.join(timeout_seconds)

    def _offer(self, item: str | None) -> None:
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            log.warning("wake.relay_left_behind", reason="too many calls are waiting for the broker")

    def _ensure_relay(self) -> None:
        # Started on first use: a process that forks after building its dispatcher keeps a working one.
        with self._starting:
            if self._relay.ident is None:
                self._relay.start()

    def _relay_calls(self) -> None:
        while (job_id := self._waiting.get()) is not None:
            _attempt(self._publish, job_id)


def _attempt(publish: Callable[[str], None], job_id: str) -> None:
    try:
        crash_point("wake.before")
        publish(job_id)
        crash_point("wake.after")
    except Exception as error:  # noqa: BLE001 - whatever the broker's library raises, the relay must live on
        log.warning("wake.failed", job_id=job_id, error=type(error).__name__)
