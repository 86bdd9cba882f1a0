"""Between rows and records: a record's fields are the columns that are read for it."""

from dataclasses import fields
from typing import Any

from sqlalchemy import Column, Table, UpdateBase
from sqlalchemy.dialects import postgresql, sqlite

from core.registry.work import Work


def columns(table: Table, record: type[Any], *, without: frozenset[str] = frozenset()) -> list[Column[Any]]:
    """Return the columns of ``table`` that ``record`` is made of."""
    return [table.c[field.name] for field in fields(record) if field.name not in without]


def upsert(work: Work, table: Table, *, rows: list[dict[str, Any]]) -> None:
    """Insert ``rows``, which must differ in their primary keys; a row that exists takes the new values."""
    if not rows:
        return
    dialect = sqlite if work.connection.dialect.name == "sqlite" else postgresql
    statement: Any = dialect.insert(table)
    keys = list(table.primary_key.columns)
    values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    change: UpdateBase = statement.on_conflict_do_update(index_elements=keys, set_=values)
    work.connection.execute(change, rows)
