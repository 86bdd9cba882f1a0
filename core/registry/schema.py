"""Which revision of the schema a database is at; `migrations` alone changes it."""

from sqlalchemy import inspect, text

from core.registry.work import Work


def revision(work: Work) -> str | None:
    """Return the revision's name; None for a database that was never upgraded."""
    if not inspect(work.connection).has_table("alembic_version"):
        return None
    return work.connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
