"""The unit of work: one transaction on the registry, and what shall happen once it is committed."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from itertools import count
from threading import Lock
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, exc, literal_column, select

from core.domain.access import ANYBODY
from core.domain.crash_points import crash_point
from core.domain.errors import ConflictError, UnavailableError
from core.registry import engines, tallies
from core.registry.tallies import Key

# Leases and timestamps use the database's clock only: hosts may disagree, the database cannot disagree with itself.
CLOCKS: Final[dict[str, ColumnElement[int]]] = {
    "sqlite": literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"),
    "postgresql": literal_column("(extract(epoch from clock_timestamp()) * 1000)::bigint"),
}
_NOW: Final = {name: select(clock) for name, clock in CLOCKS.items()}


class Work:
    """One open transaction. Functions of the registry take it first; none of them commits.

    Attributes:
        actor: on whose behalf it is done: a key's id, or who else its events shall name.
    """

    def __init__(self, connection: Connection, actor: str = ANYBODY) -> None:
        self.connection = connection
        self.actor = actor
        self._hooks: list[Callable[[], None]] = []
        self._now_ms: int | None = None
        self._turns = count()
        self._counts: defaultdict[Key, float] = defaultdict(float)

    def now_ms(self) -> int:
        """Return the moment of this work by the database's clock, in milliseconds since the epoch.

        It is read once: all that one work writes happens at one moment.
        """
        if self._now_ms is None:
            self._now_ms = int(self.connection.execute(_NOW[self.connection.dialect.name]).scalar_one())
        return self._now_ms

    def next_turn(self) -> int:
        """Return 0, 1, 2, ...: the order of what is written at this work's one moment."""
        return next(self._turns)

    @property
    def clock(self) -> ColumnElement[int]:
        """The database's clock as an expression, for queries that compare with it; milliseconds since the epoch."""
        return CLOCKS[self.connection.dialect.name]

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Run ``hook`` once this work is committed; a rollback forgets it."""
        self._hooks.append(hook)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Count something that happened, once this work is committed; see `core.registry.tallies`."""
        self._counts[name, labels] += by

    def store_counts(self, *, share: int) -> None:
        """Add what was counted to the rows; nothing may be written after it."""
        tallies.flush(self.connection, self._counts, share=share)

    def run_hooks(self) -> None:
        """Run what waited for the commit, in order."""
        for hook in self._hooks:
            hook()


class Registry:
    """The door to one database. Make one a process, after any fork.

    Args:
        url: of the database.
        patience_seconds: how long to wait for a turn to write, and as long again for the database's own lock.

    Raises on entering or leaving a work:
        UnavailableError: the database is away or locked for too long.
        ConflictError: a constraint refused what two callers did at the same moment.
    """

    def __init__(self, url: str, *, patience_seconds: float = engines.PATIENCE_SECONDS) -> None:
        self._writer: Engine = engines.writer(url, patience_seconds=patience_seconds)
        self._reader: Engine = engines.reader(url, writer=self._writer, patience_seconds=patience_seconds)
        # SQLite has one writer. Queueing here is fair; queueing on its file lock is not (p99 20 times longer).
        self._turn = Lock() if self._writer.dialect.name == "sqlite" else None
        self._patience_seconds = patience_seconds
        self._share = tallies.new_share()
        self.actor = ANYBODY

    def acting_as(self, actor: str) -> "Registry":
        """Return this registry, over the same connections, with its works done on behalf of ``actor``."""
        bound = copy(self)
        bound.actor = actor
        return bound

    @contextmanager
    def write(self) -> Iterator[Work]:
        """Commit on leaving, roll back on an error; hooks run after the commit only."""
        with self._translated(), self._my_turn(), self._writer.begin() as connection:
            work = Work(connection, self.actor)
            yield work
            work.store_counts(share=self._share)
            crash_point("commit.before")
        crash_point("commit.after")
        work.run_hooks()

    @contextmanager
    def rehearse(self) -> Iterator[Work]:
        """Let changes be made as in `write`, and roll them back in any case; hooks do not run."""
        with self._translated(), self._my_turn(), self._writer.connect() as connection:
            yield Work(connection, self.actor)

    @contextmanager
    def read(self) -> Iterator[Work]:
        """Read one consistent snapshot; nothing can be written."""
        with self._translated(), self._reader.connect() as connection:
            yield Work(connection)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._patience_seconds):
            raise UnavailableError("too many wait to write to the registry", code="registry_unavailable")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Give the driver's errors their domain words; SQL's own text stays in the log's traceback."""
        try:
            yield
        except exc.IntegrityError as error:
            raise ConflictError("another call changed the same thing at the same moment; try again") from error
        except (exc.DBAPIError, exc.TimeoutError) as error:
            if not _is_away(error):
                raise
            raise UnavailableError("the registry is away", code="registry_unavailable") from error
        except self._writer.dialect.loaded_dbapi.OperationalError as error:
            # From preparing a connection, before SQLAlchemy watches over it.
            raise UnavailableError("the registry is away", code="registry_unavailable") from error

    def close(self) -> None:
        """Close every pooled connection."""
        self._reader.dispose()
        self._writer.dispose()


def _is_away(error: exc.SQLAlchemyError) -> bool:
    """Say whether the database, rather than the statement, is to blame.

    A session that PostgreSQL ended because it stood still within a transaction counts: its error is an internal one.
    """
    if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)):
        return True
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated
