"""How the registry's two databases are opened: durability, isolation and time limits."""

from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url

BUSY_SECONDS: Final = 30
# Server defaults are "wait for ever"; nothing in the registry takes longer than these.
_POSTGRES: Final = {
    "options": "-c synchronous_commit=on -c lock_timeout=5000 -c statement_timeout=15000 "
    "-c idle_in_transaction_session_timeout=15000",
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def writer(url: str) -> Engine:
    """Return the engine of writing transactions."""
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url, begin="BEGIN IMMEDIATE", pragmas=("synchronous=FULL", "foreign_keys=ON"))
    return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=32, connect_args=_POSTGRES)


def reader(url: str, *, writer: Engine) -> Engine:
    """Return the engine of reading transactions: a stable snapshot, and no way to write."""
    if writer.dialect.name == "sqlite":
        return _sqlite(url, begin="BEGIN", pragmas=("query_only=ON",))
    return writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _sqlite(url: str, *, begin: str, pragmas: tuple[str, ...]) -> Engine:
    """Open SQLite with transactions begun by us: the driver's own would begin too late."""
    arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments, pool_size=8, max_overflow=32)

    @event.listens_for(engine, "connect")
    def prepare(connection: SqliteConnection, _record: object) -> None:
        # TRUNCATE: the WAL of many installed SQLite builds has a known corruption race.
        for pragma in ("journal_mode=TRUNCATE", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
