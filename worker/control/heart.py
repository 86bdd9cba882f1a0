"""The heartbeat of one claim, on a thread of its own: neither staging nor publishing may make it miss a beat."""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Final, Self, TypeVar

import structlog

from core.domain.errors import LostLeaseError, UnavailableError
from core.services.claims import BeatAnswer
from worker.control.context import Timings

log = structlog.get_logger()
T = TypeVar("T")

_INSIST_SECONDS: Final = 0.5


class Heart:
    """Renews a claim's lease until left.

    Args:
        beat: renews the lease; returns what users ask of the job.
        claimed_at: monotonic time just before the claim was made.
    """

    def __init__(self, beat: Callable[[], BeatAnswer], *, timings: Timings, claimed_at: float) -> None:
        self._beat = beat
        self._timings = timings
        self._trusted_until = claimed_at + timings.trust
        self._refused = False
        self._heard = BeatAnswer()
        self._stop = threading.Event()
        # What it logs is of the same job as what its owner logs.
        run = partial(copy_context().run, self._run)
        self._thread = threading.Thread(target=run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def cancel_requested(self) -> bool:
        """Whether a user asked for the job's end."""
        return self._heard.cancel_requested

    @property
    def pause_requested(self) -> bool:
        """Whether a user wants the job to stop here and go on later."""
        return self._heard.pause_requested

    @property
    def lost(self) -> bool:
        """Whether another worker may hold the job by now: nothing may be written any more.

        True as soon as a beat was refused, or none got through for so long that others may see the lease expire.
        """
        return self._refused or time.monotonic() >= self._trusted_until

    def insist(self, action: Callable[[], T]) -> T:
        """Return ``action()``, tried again while the registry is away and the claim is still trusted.

        Raises:
            LostLeaseError: the claim was lost first.
        """
        while not self.lost:
            try:
                return action()
            except UnavailableError as error:
                log.warning("registry.away", error=error.detail)
                time.sleep(_INSIST_SECONDS)
        raise LostLeaseError("the lease was lost, or could not be renewed in time")

    def _run(self) -> None:
        while not self._stop.wait(self._timings.beat) and not self._refused:
            started = time.monotonic()
            try:
                self._heard = self._beat()
            except LostLeaseError:
                self._refused = True
            except UnavailableError as error:
                log.warning("beat.missed", error=error.detail)
            else:
                self._trusted_until = started + self._timings.trust
