"""What every dataset format must answer, and what it makes of a row."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

Row = Mapping[str, Any]

_VISIBLE: Final = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Example:
    """A rendered row: the model reads ``prompt`` and learns to write ``target``.

    Attributes:
        prompt: never part of the loss.
        target: all of the loss, together with the end token that the tokenizer adds.
        options: the labels to choose from, each without the space that a target begins with; None where the task is
            not a choice.
        cut: where in ``prompt`` the row's own text lies, ``(start, end)`` in characters: the only part that may
            be shortened; None where it is all of the prompt.
    """

    prompt: str
    target: str
    options: tuple[str, ...] | None = None
    cut: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row."""

    message: str
    hint: str | None = None


class Format(Protocol):
    """One way to write a task file."""

    @property
    def name(self) -> str:
        """The format's name in reports, templates and requests."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a row must have; together they are the row's identity."""

    def faults(self, row: Row) -> Iterator[Fault]:
        """Yield what is wrong with a row that has every column."""

    def label(self, row: Row) -> str | None:
        """Return the row's class, or None in a format without classes."""

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Example:
        """Return prompt and target of a row without faults."""


def text_fault(row: Row, column: str) -> Fault | None:
    """Return what keeps ``row[column]`` from being a text to learn from, or None."""
    value = row[column]
    if not isinstance(value, str):
        return Fault(f"'{column}' must be a string")
    if not _VISIBLE.search(value):
        return Fault(f"'{column}' has no visible character", hint="leave such rows out")
    return None
