"""One backend among several: what it said last, how much it has to do for us, and when it is asked again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from core.domain.backends import Offer, Question, Standing
from core.domain.errors import StrataError, UnavailableError
from core.domain.ports import Backend

log = structlog.get_logger(__name__)

# A backend that is away is asked again after twice as long each time, up to this.
MAX_BACK_OFF_SECONDS: Final = 10.0


class Member:
    """A backend, by its name, and what is known of it. For any thread.

    Args:
        name: the operator's, in metrics and readiness.
        backend: who answers.
        models: ids of the models that it is asked for; None for all.
    """

    def __init__(self, name: str, backend: Backend, *, models: frozenset[str] | None = None) -> None:
        self.name = name
        self.backend = backend
        self.models = models
        self.offer: Offer | None = None
        self._changed = threading.Condition()
        self._held = False
        self._fault: str | None = None
        self._requests = 0
        self._failovers = 0
        self._looks = 0

    @property
    def is_out(self) -> bool:
        """Say whether it was away when it was asked last."""
        return self._fault is not None

    @property
    def standing(self) -> Standing:
        """How it is, as far as is known."""
        return Standing(fault=self._fault, requests=self._requests, failovers=self._failovers)

    def load(self) -> int:
        """Return how many requests it has, ours and as it said those of others."""
        return max(self._requests, self.offer.requests if self.offer else 0)

    @property
    def is_held(self) -> bool:
        """Say whether it is kept from new requests for now."""
        return self._held

    def hold(self, *, within_seconds: float) -> bool:
        """Keep new requests from it, and wait for those under way; return whether all ended in time."""
        with self._changed:
            self._held = True
            return self._changed.wait_for(lambda: not self._requests, within_seconds)

    def release(self) -> None:
        """Let requests come again."""
        with self._changed:
            self._held = False

    def may_answer(self, question: Question) -> bool:
        """Say whether it has the version or can load it; of one that was never heard of, yes."""
        return self.offer is None or self.offer.loads or self.offer.has(question)

    def has(self, question: Question) -> bool:
        """Say whether the version is known to answer there now."""
        return self.offer is not None and self.offer.has(question)

    def look(self) -> None:
        """Ask how it is, and note it."""
        try:
            offer = self.backend.look()
        except StrataError as error:
            self.leave_out(error.code)
            return
        if self._fault is not None:
            log.info("backend.taken_back", backend=self.name)
        self.offer, self._fault, self._looks = offer, None, 0

    def leave_out(self, fault: str) -> None:
        """Note that it does not answer."""
        if self._fault is None:
            log.warning("backend.left_out", backend=self.name, code=fault)
        self._fault = fault
        self._looks += 1

    def next_look_seconds(self, poll_seconds: float) -> float:
        """Return when to ask again: at each poll, or later the longer it is away."""
        return max(poll_seconds, min(poll_seconds * 2.0 ** min(self._looks, 16), MAX_BACK_OFF_SECONDS))

    def failed_over(self) -> None:
        """Count a request that went elsewhere."""
        with self._changed:
            self._failovers += 1

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count a request until its answer is over.

        Raises:
            UnavailableError: new requests are kept from it.
        """
        with self._changed:
            if self._held:
                raise UnavailableError("the engine takes no new requests just now")
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1
                self._changed.notify_all()
