"""The schema's history, by Alembic; nothing else creates or changes a table."""
