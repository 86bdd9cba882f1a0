"""What is settled before any route: the request's id, its framing, and whether its sender may call at all."""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import answer_headers, errors
from api.gate import Gate
from api.hosts import is_loopback
from core.domain.errors import MalformedError, StrataError, UnauthenticatedError, UnavailableError
from core.domain.identifiers import new_id

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
# A page of another port of this machine is of the same site, and other people's all the same.
_OWN_PAGES: Final = frozenset({"same-origin", "none"})
_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "3"})
_MAX_ADDRESS_BYTES: Final = 8 * 1024
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


class Doorkeeper:
    """Gives each request an id, and refuses what must not reach a route.

    While no keys are asked for, whoever reaches the port may call. A browser reaches loopback on behalf of any web page,
    so the host must be named as this machine (a rebound DNS name is not), the page must be our own, and both ends of the
    connection must be on this machine, whatever address the server was told to listen on.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer[answer_headers.REQUEST_ID] = request_id
                for name, value in answer_headers.STANDARD.items():
                    answer.setdefault(name, value)
            await send(message)

        # Where a request ends is not certain if it is not HTTP as we read it: nothing more is taken from its sender.
        if fault := _unreadable(scope, headers):
            answer = errors.response(fault, path=scope["path"], request_id=request_id, headers=answer_headers.CLOSE)
            await answer(scope, receive, send_named)
            return
        if fault := await self._unwelcome(scope, headers):
            answer = errors.response(fault, path=scope["path"], request_id=request_id)
            await answer(scope, receive, send_named)
            return
        await self._app(scope, receive, send_named)

    async def _unwelcome(self, scope: Scope, headers: Headers) -> StrataError | None:
        """Return why an API without keys cannot answer; the registry is asked before anybody is turned away."""
        fault = None if self._gate.asks_for_keys else _foreign(scope, headers)
        if fault and not await run_in_threadpool(self._asks_for_keys):
            return fault
        return _misdirected(headers)

    def _asks_for_keys(self) -> bool:
        try:
            return self._gate.look()
        except UnavailableError:
            return False


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.match(given) else new_id("req")


def _unreadable(scope: Scope, headers: Headers) -> StrataError | None:
    if "transfer-encoding" in headers and "content-length" in headers:
        return MalformedError("a body has a length or is chunked, not both")
    if scope["http_version"] not in _VERSIONS:
        return StrataError("this version of HTTP is not spoken here", code="http_version_not_supported")
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > _MAX_ADDRESS_BYTES:
        return StrataError(f"an address has at most {_MAX_ADDRESS_BYTES} bytes", code="uri_too_long")
    return None


def _misdirected(headers: Headers) -> StrataError | None:
    """Addresses that we tell are made of the host: it must be one."""
    hosts = headers.getlist("host")
    if len(hosts) > 1 or not all(_HOST.match(host) for host in hosts):
        return MalformedError("the Host header is not a host")
    return None


def _foreign(scope: Scope, headers: Headers) -> StrataError | None:
    if not all(is_loopback(end[0]) for end in (scope.get("client"), scope.get("server")) if end and end[1] is not None):
        return UnauthenticatedError("without keys only this machine may call")
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _is_local(f"//{hosts[0]}"):
        return StrataError("call this service by a loopback address", code="foreign_host")
    origin = headers.get("origin")
    if origin is not None and not _is_same(origin, hosts[0]):
        return StrataError("this page may not call the service", code="foreign_origin")
    if headers.get("sec-fetch-site", "none") not in _OWN_PAGES:
        return StrataError("this page may not call the service", code="foreign_origin")
    return None


def _is_local(address: str) -> bool:
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


def _is_same(origin: str, host: str) -> bool:
    """Pages of another port of this machine are other people's pages."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
