"""Keeps tests on this machine: whoever reaches for another one is refused, and the test that did it fails."""

import errno
import ipaddress
import socket
import sys
from typing import Any

# What they hand over: a socket and an address, or a name to look up.
_ADDRESSED = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAMED = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


class NetworkGuard:
    """An audit hook of this process; `refused` holds the addresses that were asked for in vain."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self._local = {"", "localhost", "testserver", socket.gethostname()}
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _ADDRESSED and isinstance(arguments[1], tuple):
            self._require_local(arguments[1][0])
        elif event in _NAMED:
            self._require_local(arguments[0])

    def _require_local(self, host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        if name in self._local or _is_loopback(name):
            return
        self.refused.append(name)
        raise OSError(errno.ENETUNREACH, f"tests stay on this machine, and {name} is another one")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
