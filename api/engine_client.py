"""The engine behind the `core.domain.ports.Generator` port: HTTP over a Unix socket, or over TCP with a secret."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from core.domain.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    NotReadyError,
    Place,
    StrataError,
    UnavailableError,
)

_CONNECT_SECONDS: Final = 2.0
_SUCCESS: Final = 200
_ERRORS: Final[dict[int, type[StrataError]]] = {
    404: MissingError,
    409: ConflictError,
    413: InvalidError,
    422: InvalidError,
    425: NotReadyError,
}
_DATA: Final = "data: "
_DONE: Final = "[DONE]"


class EngineClient:
    """Speaks to one engine. It opens no connection before the first call.

    Args:
        address: ``unix:<socket path>`` or ``http://host:port``.
        secret: shared with an engine on TCP.
        timeout_seconds: longest wait for the next bytes of an answer.
    """

    def __init__(self, address: str, *, secret: str | None = None, timeout_seconds: float = 120.0) -> None:
        socket = address.removeprefix("unix:") if address.startswith("unix:") else None
        self._socket = Path(socket) if socket else None
        self._http = httpx.Client(
            base_url="http://engine" if socket else address,
            transport=httpx.HTTPTransport(uds=socket, limits=httpx.Limits(max_keepalive_connections=8)),
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            trust_env=False,
        )

    def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer in one piece.

        Raises:
            StrataError: what the engine said, or UnavailableError where it said nothing.
        """
        with self._reached():
            response = self._http.post("/v1/completions", json={**request, "stream": False})
        _require_success(response)
        answer: dict[str, Any] = response.json()
        return answer

    def stream(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer in pieces, as the engine sends them; closing the iterator tells the engine to stop.

        Raises:
            StrataError: as `generate`, at the first piece or later.
        """
        with (
            self._reached(),
            self._http.stream("POST", "/v1/completions", json={**request, "stream": True}) as response,
        ):
            if response.status_code != _SUCCESS:
                response.read()
            _require_success(response)
            for data in _events(response):
                if data == _DONE:
                    return
                yield _piece(data)
        raise UnavailableError("the engine broke off its answer", code="engine_unavailable")

    def check(self) -> None:
        """Return if the engine answers.

        Raises:
            UnavailableError: it does not.
        """
        with self._reached():
            response = self._http.get("/healthz", timeout=_CONNECT_SECONDS)
        _require_success(response)

    def metrics(self) -> str:
        """Return what the engine measures, in Prometheus' text format.

        Raises:
            UnavailableError: it does not answer.
        """
        with self._reached():
            response = self._http.get("/metrics", timeout=_CONNECT_SECONDS)
        _require_success(response)
        return response.text

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        # Asked first because the library leaves a socket open when it cannot connect it.
        if self._socket is not None and not self._socket.is_socket():
            raise UnavailableError("the engine is not running", code="engine_unavailable")
        try:
            yield
        except httpx.TimeoutException as error:
            raise UnavailableError("the engine did not answer in time", code="engine_unavailable") from error
        except httpx.HTTPError as error:
            raise UnavailableError("the engine does not answer", code="engine_unavailable") from error


def _events(response: httpx.Response) -> Iterator[str]:
    r"""Yield the data of server-sent events; lines end with ``\n`` only, not where Unicode knows other ends."""
    rest = b""
    for chunk in response.iter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", errors="replace")
            if text.startswith(_DATA):
                yield text.removeprefix(_DATA)


def _piece(data: str) -> dict[str, Any]:
    piece: dict[str, Any] = json.loads(data)
    if "choices" not in piece:
        fault = piece.get("error", piece)
        raise UnavailableError(
            str(fault.get("detail") or fault.get("message") or "the engine failed"),
            code=str(fault.get("code") or "engine_unavailable"),
        )
    return piece


def _require_success(response: httpx.Response) -> None:
    if response.status_code == _SUCCESS:
        return
    try:
        fault = response.json()
    except ValueError:
        fault = {}
    if not isinstance(fault, dict):
        fault = {}
    kind = _ERRORS.get(response.status_code, UnavailableError)
    raise kind(
        str(fault.get("detail") or "the engine failed"),
        code=str(fault["code"]) if "code" in fault else None,
        places=[Place(loc=tuple(place["loc"]), message=place["message"]) for place in fault.get("errors", ())],
    )
