"""Tells the engine that a version was committed. It also polls, so a call that fails loses half a second, no more."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog

log = structlog.get_logger()

_TIMEOUT_SECONDS: Final = 2.0
_UNIX: Final = "unix:"


@dataclass(frozen=True, slots=True)
class EnginesNotifier:
    """Calls one engine after another; ``secret`` is asked for over TCP only."""

    addresses: tuple[str, ...]
    secret: str | None

    def __call__(self) -> None:
        """Ask each engine to look at the registry now; a failure is logged and goes no further."""
        for address in self.addresses:
            EngineNotifier(address, self.secret)()


@dataclass(frozen=True, slots=True)
class EngineNotifier:
    """Calls the engine at ``unix:<socket path>`` or ``http://host:port``; ``secret`` is asked for over TCP only."""

    address: str
    secret: str | None

    def __call__(self) -> None:
        """Ask the engine to look at the registry now; a failure is logged and goes no further."""
        socket = self.address.removeprefix(_UNIX) if self.address.startswith(_UNIX) else None
        if socket is not None and not Path(socket).is_socket():
            log.info("engine.not_told", error="its socket is not there")
            return
        headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        try:
            with httpx.Client(
                base_url="http://engine" if socket else self.address,
                transport=httpx.HTTPTransport(uds=socket),
                timeout=_TIMEOUT_SECONDS,
                headers=headers,
            ) as client:
                client.post("/v1/refresh").raise_for_status()
        except httpx.HTTPError as error:
            log.info("engine.not_told", error=type(error).__name__)
