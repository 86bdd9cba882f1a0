"""A registry that is away, in each of the ways in which a server can be: said in time, and used again once it is back."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from sqlalchemy import make_url, text

from core.domain.errors import UnavailableError
from core.registry.work import Registry

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
LONGEST_SECONDS = 5.0


class Wire:
    """A TCP port that leads to a server's Unix socket, until it is cut or falls silent."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.silent = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and reset those that are open."""
        # Closing alone would leave the listener to the thread that is waiting on it.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Listen at the same port again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.behind)
            self._pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with ExitStack() as stack:
            for end in (near, far):
                stack.enter_context(closing(end))
            with suppress(OSError, ValueError):
                while True:
                    for end in select.select([near, far], [], [], 0.05)[0]:
                        if self.silent.is_set():
                            time.sleep(0.05)
                            continue
                        sent = end.recv(65536)
                        if not sent:
                            return
                        (far if end is near else near).sendall(sent)


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    made = Wire(f"{make_url(database_url).query['host']}/.s.PGSQL.5432")
    yield made
    made.cut()


@pytest.fixture
def remote(wire: Wire, database_url: str) -> Iterator[Registry]:
    """The registry over TCP, with two connections in its pool."""
    url = make_url(database_url).set(host="127.0.0.1", port=wire.port, query={})
    opened = Registry(url.render_as_string(hide_password=False))
    with closing(opened):
        with opened.read(), opened.read() as work:
            work.connection.execute(text("SELECT 1"))
        yield opened


def seconds_until_told(registry: Registry) -> float:
    began = time.monotonic()
    with pytest.raises(UnavailableError), registry.read() as work:
        work.connection.execute(text("SELECT 1"))
    return time.monotonic() - began


@pytest.mark.parametrize("trouble", [Wire.cut, lambda wire: wire.silent.set()], ids=["cut", "silent"])
def test_a_server_that_is_gone_or_silent_is_told_within_seconds(
    remote: Registry, wire: Wire, trouble: Callable[[Wire], None]
) -> None:
    trouble(wire)
    assert seconds_until_told(remote) < LONGEST_SECONDS


def test_a_server_that_is_back_is_used_again(remote: Registry, wire: Wire) -> None:
    wire.cut()
    seconds_until_told(remote)
    wire.mend()
    with remote.write() as work:
        assert work.connection.execute(text("SELECT 1")).scalar_one() == 1


def test_what_the_driver_says_by_itself_is_told_in_our_words_too(registry: Registry) -> None:
    """SQLAlchemy wraps what a statement raises, not what preparing a connection does when the session is gone."""
    with pytest.raises(UnavailableError), registry.read() as work:
        raise work.connection.dialect.loaded_dbapi.OperationalError("the connection is lost")
