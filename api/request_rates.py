"""Requests a minute, counted for each project in this process."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from core.domain.errors import QuotaError

_MINUTE: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    """Requests that may be made at once, as of a moment of the monotonic clock."""

    tokens: float
    at: float


class RequestRates:
    """A token bucket a project: a minute's requests may come at once, then they come as fast as they are refilled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, project_id: str, *, per_minute: int) -> None:
        """Count one request.

        Raises:
            QuotaError: ``rate_limited``: it is one too many.
        """
        with self._lock:
            bucket = self._filled(project_id, per_minute)
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return
            lacking = 1 - bucket.tokens
        raise QuotaError(
            f"the project may make {per_minute} requests a minute",
            code="rate_limited",
            retry_after_seconds=math.ceil(lacking * _MINUTE / per_minute) if per_minute else int(_MINUTE),
        )

    def _filled(self, project_id: str, per_minute: int) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(project_id, _Bucket(float(per_minute), now))
        refilled = bucket.tokens + (now - bucket.at) * per_minute / _MINUTE
        bucket.tokens, bucket.at = min(float(per_minute), refilled), now
        return bucket
