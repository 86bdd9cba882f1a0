"""Alembic's entry: run the revisions in one transaction on the database that `migrations.commands` names."""

from alembic import context
from sqlalchemy import Connection, text

from core.registry import engines
from core.registry.access_tables import API_KEY

# Two processes may upgrade at once: the second waits here and then finds nothing to do. (SQLite has one writer anyway.)
_LOCK = text("SELECT pg_advisory_xact_lock(7234916)")


def release_references(connection: Connection) -> None:
    """Let SQLite remake a table that others refer to: it changes one by copying it, dropping it and renaming the copy.

    Only outside of a transaction can that be said.
    """
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute("PRAGMA foreign_keys=OFF").close()


def require_references(connection: Connection) -> None:
    """Make sure that every reference still holds.

    Raises:
        RuntimeError: one does not; nothing of the revisions is kept.
    """
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise RuntimeError(f"{len(broken)} rows refer to rows that are not there, e.g. of table {broken[0][0]}")


engine = engines.writer(context.config.attributes["database_url"])
is_sqlite = engine.dialect.name == "sqlite"
try:
    with engine.connect() as connection:
        if is_sqlite:
            release_references(connection)
        with connection.begin():
            context.configure(
                connection=connection,
                target_metadata=API_KEY.metadata,
                render_as_batch=is_sqlite,
                transactional_ddl=True,
            )
            with context.begin_transaction():
                if not is_sqlite:
                    connection.execute(_LOCK)
                context.run_migrations()
            if is_sqlite:
                require_references(connection)
finally:
    engine.dispose()
