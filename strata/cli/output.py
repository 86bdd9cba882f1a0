"""How results look: one JSON document for machines, a table for people."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strata.client.result import Result

STATE_STYLES = {
    "ready": "green",
    "succeeded": "green",
    "passed": "green",
    "running": "cyan",
    "queued": "yellow",
    "pending": "yellow",
    "failed": "red",
    "corrupt": "red",
    "rejected": "red",
    "cancelled": "dim",
}


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))


def print_rows(rows: Iterable[Result]) -> None:
    """Print results as one JSON list on stdout."""
    print_json([row.to_json() for row in rows])


def table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print a table; what is None shows as a dash."""
    drawn = Table(*columns, title=title, header_style="bold", title_justify="left")
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    console.print(drawn)


def facts(console: Console, pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; what is None is left out."""
    drawn = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value is not None:
            drawn.add_row(f"[bold]{escape(name)}[/]", cell(value))
    console.print(drawn)


def cell(value: object) -> str:
    """Return a value as markup for one cell: fractions to three places, states in their colour."""
    if value is None:
        return "[dim]-[/]"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = escape(plain(str(value)))
    return f"[{STATE_STYLES[text]}]{text}[/]" if text in STATE_STYLES else text


def plain(text: str) -> str:
    """Return text without the control characters that would move a terminal's cursor or colours."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")


def duration(seconds: float | None) -> str | None:
    """Return a duration as ``1h02m``, ``3m05s`` or ``7s``."""
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
