"""Rows of `tally`: what happened how often, over all processes and all time; `core.services.telemetry` reads them.

A work counts while it goes and adds to the rows as its last act before the commit, in the order of their keys: what is
rolled back was never counted, and no two works can wait for each other here.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from core.registry.access_tables import TALLY

Labels = tuple[str, ...]
Key = tuple[str, Labels]

INFINITY: Final = "+Inf"


def flush(connection: Connection, counts: Mapping[Key, float]) -> None:
    """Add ``counts`` to what is stored."""
    rows = [{"name": name, "labels": json.dumps(labels), "value": counts[name, labels]} for name, labels in counts]
    if not rows:
        return
    statement = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(TALLY)
    grown = statement.on_conflict_do_update(
        index_elements=[TALLY.c.name, TALLY.c.labels], set_={"value": TALLY.c.value + statement.excluded.value}
    )
    connection.execute(grown, sorted(rows, key=lambda row: (row["name"], row["labels"])))


def totals(connection: Connection) -> dict[Key, float]:
    """Return every count."""
    rows = connection.execute(select(TALLY.c.name, TALLY.c.labels, TALLY.c.value))
    return {(row.name, tuple(json.loads(row.labels))): float(row.value) for row in rows}


def bucket_of(value: float, bounds: Sequence[float]) -> str:
    """Return the name of the histogram's bucket that ``value`` falls into: the first bound that is not below it."""
    place = bisect_left(bounds, value)
    return str(bounds[place]) if place < len(bounds) else INFINITY
