"""A request that carries a key is carried out once: asked again, it is answered as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from core.domain.errors import InvalidError, Place
from core.registry import idempotency
from core.registry.idempotency import StoredAnswer
from core.registry.work import Work

KEPT_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """A request under its key.

    Attributes:
        route: method and path.
        request_sha256: over all that was asked, the content of files included.
    """

    project_id: str
    key: str
    route: str
    request_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back: the status, the headers that belong to it, and the very text of the body."""

    status: int
    body: str
    headers: Mapping[str, str]


def recall(work: Work, asked: Keyed) -> Answer | None:
    """Return what the request was answered, or None if it is new.

    Raises:
        InvalidError: ``idempotency_key_reused``: the key belongs to another request.
    """
    found = idempotency.find(work, project_id=asked.project_id, key=asked.key)
    return None if found is None else _same(found, asked)


def once(work: Work, asked: Keyed, change: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Return the answer of ``change``, and whether it is an old one.

    A new answer is stored in the same work as the change: either both are there or neither. What ``change`` refuses
    leaves no trace, and may be asked again.

    Raises:
        InvalidError: ``idempotency_key_reused``.
        ConflictError: ``request_in_flight``.
    """
    key = {"project_id": asked.project_id, "key": asked.key}
    if not idempotency.take(work, **key, route=asked.route, request_sha256=asked.request_sha256):
        found = idempotency.find(work, **key)
        if found is not None:
            return _same(found, asked), True
    answer = change()
    idempotency.store(work, **key, status=answer.status, headers=answer.headers, body=answer.body)
    return answer, False


def prune(work: Work) -> int:
    """Forget the answers that are older than a day; return how many."""
    return idempotency.prune(work, before_ms=work.now_ms() - KEPT_MS)


def _same(found: StoredAnswer, asked: Keyed) -> Answer:
    if (found.route, found.request_sha256) != (asked.route, asked.request_sha256):
        message = "belongs to another request"
        places = [Place(loc=("header", "Idempotency-Key"), message=message, hint="use a new key for a new request")]
        raise InvalidError(f"the key {message}", code="idempotency_key_reused", places=places)
    return Answer(status=found.status, body=found.body, headers=found.headers)
