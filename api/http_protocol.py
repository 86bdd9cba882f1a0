"""HTTP/1.1 as the API receives it: uvicorn's protocol, and an end to every wait for a caller.

By itself uvicorn waits for ever for the rest of a head or of a body, and for a caller that does not read. Here:

    head    must be complete within `Patience.head_seconds` of the connection, or of the answer before it
    body    must bring `MIN_BODY_BYTES`, or its end, in every `Patience.body_seconds` in which we are reading
    answer  must be read on within `Patience.body_seconds` once the buffers are full

Beyond `Patience.max_connections` the connection that has kept us waiting for a head longest is closed: callers who say
nothing never keep out those who do. What is refused down here is told in the same words as everywhere else.
"""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api import answer_headers, errors
from core.domain.errors import MalformedError, StrataError
from core.domain.identifiers import new_id

MAX_HEAD_BYTES: Final = 16 * 1024
MIN_BODY_BYTES: Final = 8 * 1024
# An answer is lost if we close while its reader still sends: so long we read on, and look at nothing.
_LINGER_SECONDS: Final = 5.0
_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the connections of one process may keep it waiting, and how many they may be.

    Attributes:
        silent: connections that have not sent a whole head, the oldest first.
    """

    head_seconds: float
    body_seconds: float
    max_connections: int
    silent: "dict[BoundedProtocol, None]" = field(default_factory=dict)


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *, patience: Patience, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.conn = self._connection = _Connection(h11.SERVER, MAX_HEAD_BYTES)
        self._patience = patience
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        # What is missing of the request: IDLE for its head, SEND_BODY for its body, None for nothing.
        self._awaited: Any = None
        self._received_bytes = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head; make room for it if need be."""
        super().connection_made(cast("asyncio.Transport", _Farewell(transport, self)))
        self._watch()
        if len(self.connections) > self._patience.max_connections:
            next(iter(self._patience.silent)).give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_sending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see what is still missing."""
        if self._is_over:
            return
        self._received_bytes += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, of which much may be here already."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait until the caller reads on."""
        super().pause_writing()
        self._sending = self.loop.call_later(self._patience.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller has read on."""
        self._stop_sending()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or not HTTP that we read."""
        del msg
        self.refuse(self._connection.fault or MalformedError("this is no request of HTTP/1.1"))

    def refuse(self, fault: StrataError) -> None:
        """Answer with ``fault``, unless an answer has begun, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_bytes_of(fault))
            self.linger()
        else:
            self.transport.abort()

    @property
    def is_being_sent_to(self) -> bool:
        """Whether the caller has not ended its request yet."""
        return not self._is_over and self.conn.their_state is h11.SEND_BODY

    def linger(self) -> None:
        """Say that there is nothing more to come, and wait for a while until the caller has heard it."""
        self._stop_waiting()
        self._is_over = True
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._receiving = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def give_up(self) -> None:
        """End the wait for what is missing; who said nothing at all is told nothing."""
        if self._awaited is h11.IDLE and not self._received_bytes:
            self._stop_waiting()
            self.transport.close()
        else:
            self.refuse(StrataError("the request took too long to arrive", code="request_timeout"))

    def _watch(self) -> None:
        """Wait for the part of the request that is missing now: each part has a deadline of its own."""
        missing = self.conn.their_state if self.conn.their_state in {h11.IDLE, h11.SEND_BODY} else None
        if self._is_over or missing is self._awaited or self.transport.is_closing():
            return
        self._stop_waiting()
        self._awaited = missing
        if missing is h11.IDLE:
            self._patience.silent[self] = None
            self._receiving = self.loop.call_later(self._patience.head_seconds, self.give_up)
        elif missing is h11.SEND_BODY:
            self._await_body()
        else:
            self._received_bytes = 0

    def _await_body(self) -> None:
        self._received_bytes = 0
        self._receiving = self.loop.call_later(self._patience.body_seconds, self._judge_body)

    def _judge_body(self) -> None:
        # While we do not read, or have not said that we will, it is we who are slow.
        is_ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if is_ours or self._received_bytes >= MIN_BODY_BYTES:
            self._await_body()
        else:
            self.give_up()

    def _stop_waiting(self) -> None:
        self._patience.silent.pop(self, None)
        self._awaited = None
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


class _Farewell:
    """A transport that is closed only once the other end has had its say: uvicorn closes it with the last byte."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if self._protocol.is_being_sent_to:
            self._protocol.linger()
        else:
            self._transport.close()


class _Connection(h11.Connection):
    """Remembers what was wrong with the request: uvicorn asks, but does not listen."""

    fault: StrataError | None = None

    def next_event(self) -> Any:
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _require_short(event)
        except h11.RemoteProtocolError as error:
            self.fault = self._told(error)
            raise
        return event

    def _told(self, error: h11.RemoteProtocolError) -> StrataError:
        if error.error_status_hint == _TOO_LARGE:
            if self.our_state is h11.IDLE and b"\n" not in self.trailing_data[0]:
                return StrataError("the address is too long", code="uri_too_long")
            return StrataError(f"a head has at most {MAX_HEAD_BYTES} bytes", code="headers_too_large")
        if error.error_status_hint == HTTPStatus.NOT_IMPLEMENTED:
            return StrataError("a body is sent as it is, or chunked", code="unknown_transfer_encoding")
        return MalformedError("this is no request of HTTP/1.1")


def _require_short(request: h11.Request) -> None:
    """Check a head that came in one piece; the library bounds only what is incomplete."""
    if sum(len(name) + len(value) + 4 for name, value in request.headers.raw_items()) > MAX_HEAD_BYTES:
        raise h11.RemoteProtocolError("the head is too long", error_status_hint=_TOO_LARGE)


def _bytes_of(fault: StrataError) -> bytes:
    """Return a whole answer: the library would not let us send one at any moment."""
    answer = errors.response(fault, path="", request_id=new_id("req"), headers=answer_headers.CLOSE)
    status = HTTPStatus(answer.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", b""]) + bytes(answer.body)
