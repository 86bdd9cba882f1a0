"""How the registry's two databases are opened: durability, isolation and time limits."""

import select
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url

# Enough for a process that nobody waits for, such as a worker.
PATIENCE_SECONDS: Final = 30.0
# Of a server that answered before: longer than any of its pauses, shorter than any caller's patience.
PING_SECONDS: Final = 1
# What was written stays out of the texts of errors, and so out of logs. Most of what a list takes is reading JSON: this
# reader is several times as fast as the standard library's.
_POOL: Final[dict[str, Any]] = {
    "pool_size": 8,
    "max_overflow": 32,
    "hide_parameters": True,
    "json_deserializer": from_json,
}
# Server defaults are "wait for ever"; nothing in the registry takes longer than these. What a server that is gone was
# sent and has not acknowledged is given up after `tcp_user_timeout` (milliseconds).
_POSTGRES: Final = {
    "options": "-c synchronous_commit=on -c lock_timeout=5000 -c statement_timeout=15000 "
    "-c idle_in_transaction_session_timeout=15000",
    "connect_timeout": 3,
    "tcp_user_timeout": 4000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def writer(url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Engine:
    """Return the engine of writing transactions.

    ``patience_seconds`` is how long SQLite's lock, or a free connection of the pool, is waited for.
    """
    if make_url(url).get_backend_name() == "sqlite":
        pragmas = ("synchronous=FULL", "foreign_keys=ON")
        return _sqlite(url, begin="BEGIN IMMEDIATE", pragmas=pragmas, patience_seconds=patience_seconds)
    engine = create_engine(url, pool_timeout=patience_seconds, connect_args=_POSTGRES, **_POOL)
    event.listen(engine, "checkout", _require_answer)
    return engine


def reader(url: str, *, writer: Engine, patience_seconds: float) -> Engine:
    """Return the engine of reading transactions: a stable snapshot, and no way to write."""
    if writer.dialect.name == "sqlite":
        return _sqlite(url, begin="BEGIN", pragmas=("query_only=ON",), patience_seconds=patience_seconds)
    return writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _require_answer(connection: Any, _record: object, _proxy: object) -> None:
    """Replace a pooled connection whose server is gone, or has stopped answering: the driver itself waits for ever.

    Raises:
        DisconnectionError: which makes the pool open another one.
    """
    from psycopg import OperationalError

    wire = connection.pgconn
    try:
        wire.send_query(b"")
        while wire.is_busy():
            _await_bytes(wire.socket)
            wire.consume_input()
        while wire.get_result() is not None:
            continue
    except OperationalError as error:
        raise exc.DisconnectionError from error


def _await_bytes(socket: int) -> None:
    ready = select.poll()
    ready.register(socket, select.POLLIN)
    if not ready.poll(1000 * PING_SECONDS):
        raise exc.DisconnectionError("the server does not answer")


def _sqlite(url: str, *, begin: str, pragmas: tuple[str, ...], patience_seconds: float) -> Engine:
    """Open SQLite with transactions begun by us: the driver's own would begin too late."""
    arguments: dict[str, Any] = {"timeout": patience_seconds, "isolation_level": None}
    engine = create_engine(url, pool_timeout=patience_seconds, connect_args=arguments, **_POOL)

    @event.listens_for(engine, "connect")
    def prepare(connection: SqliteConnection, _record: object) -> None:
        # TRUNCATE: the WAL of many installed SQLite builds has a known corruption race.
        for pragma in ("journal_mode=TRUNCATE", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
