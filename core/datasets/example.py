"""What every dataset format must answer, and what it makes of a row."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place

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
class Turn:
    """One message of a conversation; ``learned`` says whether the model learns to write it."""

    role: str
    content: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """A rendered row of messages: the model's own chat template makes one text of them, where the model is.

    Attributes:
        turns: in order; the last one is learned, and is what held-out rows are scored by.
    """

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered row that is nothing but text: every token of it is learned but the first."""

    text: str


Rendered = Example | Conversation | Document


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row, or with a base model that is to learn such rows."""

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

    @property
    def json_columns(self) -> tuple[str, ...]:
        """Those of `columns` whose values are no plain text: where a file has only text, it is JSON."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """How held-out rows are scored unless the task says otherwise; the first fills the score matrix."""

    @property
    def more_metrics(self) -> tuple[str, ...]:
        """By what else they can be scored."""

    def misfit(self, facts: BaseFacts) -> Fault | None:
        """Return what keeps a base model from learning such rows, or None."""

    def faults(self, row: Row) -> Iterator[Fault]:
        """Yield what is wrong with a row that has every column."""

    def label(self, row: Row) -> str | None:
        """Return the row's class, or None in a format without classes."""

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Rendered:
        """Return what is read and what is learned of a row without faults."""

    def inputs(self, row: Row) -> dict[str, Any]:
        """Return the part of a row that a user of the model would send."""

    def request(self, inputs: Row, *, question: str | None, options: Sequence[str] | None) -> dict[str, Any]:
        """Return what a model is asked for ``inputs``: ``{"prompt": ...}`` or ``{"messages": ...}``.

        Raises:
            InvalidError: code ``invalid_input``: not what `inputs` would return.
        """


def text_fault(row: Row, column: str) -> Fault | None:
    """Return what keeps ``row[column]`` from being a text to learn from, or None."""
    value = row[column]
    if not isinstance(value, str):
        return Fault(f"'{column}' must be a string")
    if not _VISIBLE.search(value):
        return Fault(f"'{column}' has no visible character", hint="leave such rows out")
    return None


def text_input(inputs: Row, column: str) -> str:
    """Return the one text of ``inputs``.

    Raises:
        InvalidError: code ``invalid_input``: it is missing, is no text, or is not alone.
    """
    if set(inputs) != {column} or not isinstance(inputs[column], str):
        raise input_refusal(f"must be an object with the one string '{column}'")
    return str(inputs[column])


def input_refusal(message: str) -> InvalidError:
    """Return the error that says why an input cannot be asked."""
    return InvalidError(
        "the input does not fit the task's template",
        code="invalid_input",
        places=[Place(loc=("input",), message=message)],
    )
