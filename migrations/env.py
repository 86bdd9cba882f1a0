"""Alembic's entry: run the revisions in one transaction on the database that `migrations.commands` names."""

from alembic import context
from sqlalchemy import text

from core.registry import engines
from core.registry.access_tables import API_KEY

# Two processes may upgrade at once: the second waits here and then finds nothing to do. (SQLite has one writer anyway.)
_LOCK = text("SELECT pg_advisory_xact_lock(7234916)")

engine = engines.writer(context.config.attributes["database_url"])
try:
    with engine.begin() as connection:
        context.configure(
            connection=connection,
            target_metadata=API_KEY.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            transactional_ddl=True,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.execute(_LOCK)
            context.run_migrations()
finally:
    engine.dispose()
