"""Refusals of OpenAI's API in the words of the domain. What a server says of an input may repeat it: it is not passed on."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from core.backends.exchange import Answer
from core.domain.errors import InvalidError, Place, StrataError, UnavailableError

_SUCCESS: Final = 200
_REFUSED: Final = frozenset({400, 413, 422})
_LOCKED: Final = frozenset({401, 403})
_BUSY: Final = frozenset({429, 503})
_MISSING: Final = 404
_CONTEXT: Final = re.compile(r"context[ _]length|max_model_len|maximum model length", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"\d+")
_MAX_RETRY_SECONDS: Final = 3600


def require_success(answer: Answer) -> None:
    """Return if the server did what it was asked.

    Raises:
        InvalidError: it refuses the request: ``context_length_exceeded`` with the numbers that it told, or else
            ``invalid_request``.
        UnavailableError: ``engine_busy``, with its Retry-After; or ``engine_unavailable``: the key, or the version's
            name there, is not what it was said to be, or the server failed.
    """
    if answer.status != _SUCCESS:
        raise _fault(answer)


def _fault(answer: Answer) -> StrataError:
    if answer.status in _REFUSED:
        return _refusal(_said(answer.json()))
    if answer.status in _BUSY:
        return UnavailableError(
            "the server has too much to do", code="engine_busy", retry_after_seconds=_retry_seconds(answer)
        )
    if answer.status in _LOCKED:
        return UnavailableError("the server does not take the key that is set for it", code="engine_unavailable")
    if answer.status == _MISSING:
        return UnavailableError("the server does not know the version by its name", code="engine_unavailable")
    return UnavailableError(f"the server failed (HTTP {answer.status})", code="engine_unavailable")


def _refusal(said: Mapping[str, Any]) -> InvalidError:
    message = str(said.get("message", ""))
    if said.get("code") == "context_length_exceeded" or _CONTEXT.search(message):
        numbers = ", ".join(_NUMBERS.findall(message)[:4])
        told = f"the server tells these numbers of tokens, its limit first: {numbers}" if numbers else "is too long"
        return InvalidError(
            "the prompt does not fit the model's context",
            code="context_length_exceeded",
            places=[Place(loc=("prompt",), message=told)],
        )
    named = said.get("param")
    places = [Place(loc=(named,), message="the server does not take it")] if isinstance(named, str) else []
    return InvalidError("the server that answers for this version refuses the request", places=places)


def _said(body: Any) -> Mapping[str, Any]:
    """Return what the server says of its error: in a member of its own, or as older ones do, in the body itself."""
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, dict) else body


def _retry_seconds(answer: Answer) -> int | None:
    """Return Retry-After in seconds, whether it tells these or a date; None where it tells neither."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        seconds = int(said)
    else:
        try:
            seconds = round((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 1), _MAX_RETRY_SECONDS)
