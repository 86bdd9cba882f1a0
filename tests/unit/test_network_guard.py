"""The guard that every test runs under."""

import socket

import pytest
from network_guard import NetworkGuard


@pytest.mark.parametrize("host", ["192.0.2.1", "strata.example", "2001:db8::1"])
def test_other_machines_are_out_of_reach(network_guard: NetworkGuard, host: str) -> None:
    with pytest.raises(OSError, match="another one"):
        socket.create_connection((host, 80), timeout=1)
    assert network_guard.refused.pop() == host
    assert network_guard.refused == []


def test_this_machine_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1])).close()
