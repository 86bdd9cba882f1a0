"""What counts as this machine."""

from ipaddress import ip_address
from typing import Final

# "testserver" and "testclient" are what Starlette's test client calls its two ends; no public name is spelled so.
_LOCAL_NAMES: Final = frozenset({"localhost", "testserver", "testclient"})


def is_loopback(name: str) -> bool:
    """Return whether a host, by name or address, can only be this machine."""
    try:
        return name.lower() in _LOCAL_NAMES or ip_address(name).is_loopback
    except ValueError:
        return False
