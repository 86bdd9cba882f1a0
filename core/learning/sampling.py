"""Which rows of a file are taken where not all of them are."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

from core.learning.rows import AnyRow

T = TypeVar("T")


def sample(rows: Sequence[T], max_rows: int) -> list[T]:
    """Return at most ``max_rows`` rows, the same of the same file every time, spread over all of it."""
    if len(rows) <= max_rows:
        return list(rows)
    chosen = random.Random(0).sample(range(len(rows)), max_rows)  # noqa: S311 - a spread, not a secret
    return [rows[number] for number in sorted(chosen)]


def chosen_by_content(rows: Sequence[AnyRow], max_rows: int) -> list[AnyRow]:
    """Return at most ``max_rows`` rows, in their order, chosen by their own hashes.

    Whichever rows are added or removed elsewhere, a row that stays is left out only by one that was added.
    """
    if len(rows) <= max_rows:
        return list(rows)
    by_digest = sorted(range(len(rows)), key=lambda number: (_digest(rows[number]), number))
    return [rows[number] for number in sorted(by_digest[:max_rows])]


def identity(rows: Sequence[AnyRow]) -> str:
    """Return the SHA-256 that only the same rows in the same order have."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(_digest(row))
    return whole.hexdigest()


def _digest(row: AnyRow) -> bytes:
    written = json.dumps({type(row).__name__: asdict(row)}, sort_keys=True)
    return hashlib.sha256(written.encode()).digest()
