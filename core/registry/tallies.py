"""Rows of `tally`: what happened how often, over all processes and all time; `core.services.telemetry` reads them.

A work counts while it goes and adds to the rows as its last act before the commit, in the order of their keys: what is
rolled back was never counted, and no two works can wait for each other in a circle. Processes add to shares of their
own: one that stands still before its commit holds up hardly anybody else.
"""

import json
import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Executable, func, select
from sqlalchemy.dialects import postgresql, sqlite

from core.registry.access_tables import TALLY

Labels = tuple[str, ...]
Key = tuple[str, Labels]

INFINITY: Final = "+Inf"
SHARES: Final = 64


def new_share() -> int:
    """Return a share to add to."""
    return secrets.randbelow(SHARES)


def flush(connection: Connection, counts: Mapping[Key, float], *, share: int) -> None:
    """Add ``counts`` to what is stored."""
    if not counts:
        return
    rows = [
        {"name": name, "labels": json.dumps(labels), "share": share, "value": value}
        for (name, labels), value in counts.items()
    ]
    connection.execute(_growth(connection.dialect.name), sorted(rows, key=lambda row: (row["name"], row["labels"])))


@cache
def _growth(dialect: str) -> Executable:
    statement: Any = (sqlite if dialect == "sqlite" else postgresql).insert(TALLY)
    grown: Executable = statement.on_conflict_do_update(
        index_elements=list(TALLY.primary_key.columns), set_={"value": TALLY.c.value + statement.excluded.value}
    )
    return grown


def totals(connection: Connection) -> dict[Key, float]:
    """Return every count."""
    total = func.sum(TALLY.c.value).label("value")
    rows = connection.execute(select(TALLY.c.name, TALLY.c.labels, total).group_by(TALLY.c.name, TALLY.c.labels))
    return {(row.name, tuple(json.loads(row.labels))): float(row.value) for row in rows}


def bucket_of(value: float, bounds: Sequence[float]) -> str:
    """Return the name of the histogram's bucket that ``value`` falls into: the first bound that is not below it."""
    place = bisect_left(bounds, value)
    return str(bounds[place]) if place < len(bounds) else INFINITY
