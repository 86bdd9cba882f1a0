"""What the tables have in common: names of constraints, ids, projects, closed lists, partial indexes."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, MetaData, String, text

METADATA: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_N_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    },
)


def quoted(values: Iterable[StrEnum]) -> str:
    """Return the values as an SQL list, in a stable order."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Allow only the members of ``values`` (and null, where the column does)."""
    return CheckConstraint(f"{column} IN ({quoted(values)})", name=f"{column}_known")


def belongs(column: str, table: str) -> ForeignKeyConstraint:
    """Refer to a row of ``table`` in the same project."""
    return ForeignKeyConstraint(["project_id", column], [f"{table}.project_id", f"{table}.id"])


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Index the rows of ``where`` only, on either database."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def id_column() -> Column[Any]:
    """Return a primary key of a type prefix and a UUID."""
    return Column("id", String(64), primary_key=True)


def project_column(*, primary_key: bool = False) -> Column[Any]:
    """Return the owner of a row."""
    return Column("project_id", String(64), ForeignKey("project.id"), nullable=False, primary_key=primary_key)
