"""Every request is counted, timed and logged here, once, outside of all that may answer it."""

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.domain.access import looks_like_key

log = structlog.get_logger(__name__)

_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SERVER_FAULT: Final = 500
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
# Asked for every few seconds by machines: a line each would drown what people do.
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._-]{0,127}\Z")


class Meters:
    """What one API process measures of itself. Routes are named by their templates, never by what was asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        known: dict[str, Any] = {"registry": self.registry}
        by_route = ("route", "method")
        self.requests = Counter("strata_http_requests", "Answered requests.", (*by_route, "status"), **known)
        self.seconds = Histogram(
            "strata_http_request_duration_seconds",
            "From a request's arrival to the start of its answer.",
            by_route,
            buckets=_BOUNDS,
            **known,
        )
        self.received = Counter(
            "strata_http_received_bytes", "Bytes of request bodies that were read.", by_route, **known
        )
        self.in_flight = Gauge("strata_http_requests_in_flight", "Requests that are not over.", **known)


class Exchange:
    """One request and its answer, as they pass by."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self.seconds = 0.0
        self.received_bytes = 0
        # Whoever breaks off without an answer is given a 500 further out.
        self.status = _SERVER_FAULT

    async def receive(self) -> Message:
        """Pass on what arrives, and count it."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on what is answered, and note when it begins."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.seconds = time.perf_counter() - self._began
        await self._send(message)

    @property
    def method(self) -> str:
        """The method, if it is one of HTTP's usual ones."""
        method = self._scope["method"]
        return method if method in _METHODS else "other"

    @property
    def route(self) -> str:
        """The template that matched, e.g. ``/v1/jobs/{job_id}``."""
        return getattr(self._scope.get("route"), "path", "unmatched")

    def end(self) -> None:
        """Note that nothing more follows."""
        self.seconds = self.seconds or time.perf_counter() - self._began

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids and names that the path held, as far as they can be ones; a key in a path is none."""
        for name, value in self._scope.get("path_params", {}).items():
            if isinstance(value, str) and _NAME.match(value) and not looks_like_key(value):
                yield name, value

    @property
    def request_id(self) -> str | None:
        """The request's id, once it has one."""
        given = self._scope.get("state", {}).get("request_id")
        return None if given is None else str(given)


class Metering:
    """Counts and times what passes, and logs a line for each request if ``logs_requests``."""

    def __init__(self, app: ASGIApp, meters: Meters, *, logs_requests: bool) -> None:
        self._app = app
        self._meters = meters
        self._logs_requests = logs_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        self._meters.in_flight.inc()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            self._meters.in_flight.dec()
            exchange.end()
            self._note(exchange)

    def _note(self, exchange: Exchange) -> None:
        route, method = exchange.route, exchange.method
        self._meters.requests.labels(route, method, str(exchange.status)).inc()
        self._meters.seconds.labels(route, method).observe(exchange.seconds)
        if exchange.received_bytes:
            self._meters.received.labels(route, method).inc(exchange.received_bytes)
        if self._logs_requests and route not in _PROBES:
            log.info(
                "request.answered",
                request_id=exchange.request_id,
                **dict(exchange.named()),
                method=method,
                route=route,
                status=exchange.status,
                seconds=round(exchange.seconds, 4),
            )
