"""An engine of this service behind the `core.domain.ports.Backend` port."""

import json
from collections.abc import Mapping
from typing import Any, Final

from core.backends.exchange import CONNECT_SECONDS, DONE, Address, Answer
from core.domain.backends import Live, Offer, Pieces, Question
from core.domain.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    NotReadyError,
    Place,
    StrataError,
    UnavailableError,
)

_COMPLETIONS: Final = "/v1/completions"
_SUCCESS: Final = 200
_ERRORS: Final[dict[int, type[StrataError]]] = {
    404: MissingError,
    409: ConflictError,
    413: InvalidError,
    422: InvalidError,
    425: NotReadyError,
}


class EngineClient:
    """Speaks to one engine. It opens no connection before the first call.

    Args:
        address: ``unix:<socket path>`` or ``http://host:port``.
        secret: shared with an engine on TCP.
        timeout_seconds: longest wait for the next bytes of an answer.
    """

    def __init__(self, address: str, *, secret: str | None = None, timeout_seconds: float = 120.0) -> None:
        self._address = Address(address, token=secret, timeout_seconds=timeout_seconds)

    def generate(self, question: Question) -> dict[str, Any]:
        """Answer in one piece.

        Raises:
            StrataError: what the engine said, or UnavailableError where it said nothing.
        """
        body = {**question.request, "stream": False}
        with self._address.exchange("POST", _COMPLETIONS, body, departure=question.departure) as answer:
            _require_success(answer)
            told: dict[str, Any] = json.loads(answer.read())
            return told

    def stream(self, question: Question) -> Pieces:
        """Answer in pieces, as the engine sends them; closing the iterator tells the engine to stop.

        Raises:
            StrataError: as `generate`, at the first piece or later.
        """
        body = {**question.request, "stream": True}
        with self._address.exchange("POST", _COMPLETIONS, body, departure=question.departure) as answer:
            _require_success(answer)
            for data in answer.events():
                if data == DONE:
                    return
                yield _piece(data)
        raise UnavailableError("the engine broke off its answer", code="engine_unavailable")

    def look(self) -> Offer:
        """Return what the engine says that it can answer.

        Raises:
            UnavailableError: it does not answer, or says that it fails.
        """
        with self._address.exchange("GET", "/healthz", timeout_seconds=CONNECT_SECONDS) as answer:
            _require_success(answer)
            return _offer(answer.json())

    def metrics(self) -> str:
        """Return what the engine measures, in Prometheus' text format.

        Raises:
            UnavailableError: it does not answer.
        """
        with self._address.exchange("GET", "/metrics", timeout_seconds=CONNECT_SECONDS) as answer:
            _require_success(answer)
            return answer.read().decode()


def _offer(health: Mapping[str, Any]) -> Offer:
    return Offer(
        live=tuple(
            Live(version_id=each["version_id"], model_id=each["model_id"], aliases=frozenset(each["aliases"]))
            for each in health.get("live", ())
        ),
        loads=bool(health.get("loads", True)),
        requests=int(health.get("requests", 0)),
    )


def _piece(data: str) -> dict[str, Any]:
    piece: dict[str, Any] = json.loads(data)
    if "choices" not in piece:
        fault = piece.get("error", piece)
        raise UnavailableError(
            str(fault.get("detail") or fault.get("message") or "the engine failed"),
            code=str(fault.get("code") or "engine_unavailable"),
        )
    return piece


def _require_success(answer: Answer) -> None:
    if answer.status == _SUCCESS:
        return
    fault = answer.json()
    if not isinstance(fault, dict):
        fault = {}
    told: dict[str, Any] = {
        "code": str(fault["code"]) if "code" in fault else None,
        "places": [Place(loc=tuple(place["loc"]), message=place["message"]) for place in fault.get("errors", ())],
    }
    detail = str(fault.get("detail") or "the engine failed")
    if answer.status in _ERRORS:
        raise _ERRORS[answer.status](detail, **told)
    said = answer.headers.get("Retry-After", "")
    raise UnavailableError(detail, **told, retry_after_seconds=int(said) if said.isdecimal() else None)
