"""Several backends behind one door: each question goes to one that has its version, and has the least to do.

A backend that is away is left out until it says that it is back. A question moves on to another one only while nothing
of its answer was given; one that came late does not move on, for its next wait would be as long.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from core.backends.exchange import DeadlineError, DepartedError, LateError
from core.backends.member import Member
from core.domain.backends import Pieces, Question, Standing
from core.domain.errors import NotReadyError, StrataError, UnavailableError

_AWAY: Final = "engine_unavailable"
# What another backend may be better at; whatever else one says, the others would say too.
_PASSING: Final = frozenset({_AWAY, "engine_busy", "unavailable"})
_FINAL: Final = (LateError, DeadlineError, DepartedError)


class Pool:
    """A `core.domain.ports.Generator` over one or more backends. A single one is always asked, without watching it.

    Args:
        members: the backends.
        poll_seconds: between two looks at one that answers.
    """

    def __init__(self, members: Sequence[Member], *, poll_seconds: float) -> None:
        self._members = tuple(members)
        self._poll_seconds = poll_seconds
        self._named = frozenset(model for member in members for model in member.models or ())
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._watchers: list[threading.Thread] = []

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece.

        Raises:
            StrataError: what the backend said that was asked last.
        """
        began = time.monotonic()
        fault: StrataError | None = None
        for member in self._candidates(question):
            try:
                with member.busy():
                    return member.backend.generate(_since(question, began))
            except UnavailableError as error:
                fault = self._passed_on(member, error)
        raise fault or _nobody(self._of(question))

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces; closing the iterator ends the answer where it is made.

        Raises:
            StrataError: as `generate`, at the first piece or later.
        """
        began = time.monotonic()
        fault: StrataError | None = None
        for member in self._candidates(question):
            with closing(_pieces(member, _since(question, began))) as pieces:
                try:
                    first = next(pieces, None)
                except UnavailableError as error:
                    fault = self._passed_on(member, error)
                    continue
                if first is not None:
                    yield first
                    yield from pieces
                return
        raise fault or _nobody(self._of(question))

    def standings(self) -> Mapping[str, Standing]:
        """Return how each backend is, asked now, all at once."""
        with ThreadPoolExecutor(len(self._members)) as asking:
            list(asking.map(Member.look, self._members))
        return {member.name: member.standing for member in self._members}

    def metrics(self) -> Mapping[str, str]:
        """Return what the backends that answer measure, by their names; who was away a moment ago is not waited for."""
        found: dict[str, str] = {}
        for member in self._members:
            if member.is_out:
                continue
            try:
                found[member.name] = member.backend.metrics()
            except StrataError:
                continue
        return found

    def close(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        for watcher in self._watchers:
            watcher.join()

    def _of(self, question: Question) -> list[Member]:
        """Return those that the model is given to: those that name it, or else those that name none."""
        if question.model_id in self._named:
            return [member for member in self._members if question.model_id in (member.models or ())]
        return [member for member in self._members if member.models is None]

    def _candidates(self, question: Question) -> list[Member]:
        """Return whom to ask, in this order.

        Raises:
            NotReadyError: all that answer hold other versions, and load none.
            UnavailableError: nobody is there.
        """
        given = self._of(question)
        if len(self._members) > 1:
            self._watch()
        there = [member for member in given if self._is_there(member)]
        able = [member for member in there if member.may_answer(question)]
        if not able:
            raise _unable() if there else _nobody(given)
        return sorted(able, key=lambda member: (not member.has(question), member.load()))

    def _is_there(self, member: Member) -> bool:
        return not member.is_held and (len(self._members) == 1 or not member.is_out)

    def _passed_on(self, member: Member, error: UnavailableError) -> StrataError:
        """Note a fault that another backend may be without.

        Raises:
            UnavailableError: it is none of those.
        """
        if isinstance(error, _FINAL) or error.code not in _PASSING:
            raise error
        if error.code == _AWAY and len(self._members) > 1:
            member.leave_out(error.code)
        member.failed_over()
        return error

    def _watch(self) -> None:
        with self._starting:
            if self._watchers:
                return
            self._watchers = [
                threading.Thread(target=self._keep_looking, args=(member,), name=f"watch-{member.name}", daemon=True)
                for member in self._members
            ]
            for watcher in self._watchers:
                watcher.start()

    def _keep_looking(self, member: Member) -> None:
        while not self._stopped.is_set():
            member.look()
            self._stopped.wait(member.next_look_seconds(self._poll_seconds))


def _pieces(member: Member, question: Question) -> Pieces:
    """Yield a backend's pieces; it is busy until they end, or until nobody wants more."""
    with member.busy(), closing(member.backend.stream(question)) as pieces:
        yield from pieces


def _since(question: Question, began: float) -> Question:
    """Return the question with what is left of its time."""
    allowed = question.request.get("timeout_seconds")
    if not isinstance(allowed, int | float):
        return question
    left = allowed - (time.monotonic() - began)
    if left <= 0:
        raise DeadlineError("the answer was not complete in time")
    return replace(question, request={**question.request, "timeout_seconds": left})


def _nobody(given: Sequence[Member]) -> UnavailableError:
    if not given:
        return UnavailableError("no backend is set to answer for the model", code=_AWAY)
    return UnavailableError("no engine that answers for the model is there", code=_AWAY)


def _unable() -> NotReadyError:
    return NotReadyError("no engine holds the version yet", code="version_loading")
