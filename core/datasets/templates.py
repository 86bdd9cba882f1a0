"""How a row becomes a prompt and a target: chosen when a task is posted, stored with its versions."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.datasets.catalogue import FORMATS
from core.datasets.example import Rendered, Row
from core.datasets.text_label import DEFAULT_QUESTION, TextLabel, option_fault
from core.domain.errors import InvalidError, Place

MAX_OPTIONS: Final = 1_000


class Template(BaseModel):
    """A frozen rendering rule: the same row always gives the same prompt.

    Attributes:
        format: a name of `core.datasets.catalogue.FORMATS`.
        question: what is asked of each text; None for formats that carry their own prompt.
        options: the labels to choose from, in the order they are listed; None likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    question: str | None = Field(default=None, max_length=2_000)
    options: Annotated[tuple[str, ...], Field(max_length=MAX_OPTIONS)] | None = None

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if self.format not in FORMATS:
            msg = f"format must be one of {', '.join(FORMATS)}"
            raise ValueError(msg)
        return self

    def render(self, row: Row) -> Rendered:
        """Return what is read and what is learned of ``row``, which must hold the format's columns."""
        return FORMATS[self.format].render(row, question=self.question, options=self.options)

    def request(self, inputs: Row) -> dict[str, Any]:
        """Return what a model is asked for ``inputs``, the columns that a user knows, e.g. ``{"text": ...}``.

        Raises:
            InvalidError: code ``invalid_input``: the inputs are not those of the format.
        """
        return FORMATS[self.format].request(inputs, question=self.question, options=self.options)


def build(
    format_name: str,
    *,
    labels: Sequence[str] | None,
    question: str | None = None,
    options: Sequence[str] | None = None,
) -> Template:
    """Return the template of a task: what its spec says, completed from the file.

    Args:
        format_name: the dataset's format.
        labels: the labels of every file the task uses (training and evaluation), from their reports.
        question: the spec's question, if any.
        options: the spec's options, if any; else the sorted labels.

    Raises:
        InvalidError: a question or options for a format without them, or options that do not hold every label.
    """
    if format_name != TextLabel.name:
        _refuse_choices(format_name, question=question, options=options)
        return Template(format=format_name)
    found = sorted(set(labels or ()))
    chosen = tuple(options) if options is not None else tuple(found)
    _check_options(chosen, labels=found)
    return Template(format=format_name, question=question or DEFAULT_QUESTION, options=chosen)


def _refuse_choices(format_name: str, *, question: str | None, options: Sequence[str] | None) -> None:
    given = [name for name, value in (("question", question), ("options", options)) if value is not None]
    if given:
        message = f"only for files of the format '{TextLabel.name}'"
        places = [Place(loc=("spec", "data", name), message=message) for name in given]
        raise InvalidError(f"a file of the format '{format_name}' has no options", places=places)


def _check_options(options: Sequence[str], *, labels: Sequence[str]) -> None:
    loc = ("spec", "data", "options")
    places = [
        Place(loc=(*loc, n), message=fault.message, hint=fault.hint)
        for n, option in enumerate(options)
        if (fault := option_fault(option))
    ]
    if len(set(options)) != len(options):
        places.append(Place(loc=loc, message="an option stands twice"))
    if len(options) > MAX_OPTIONS:
        places.append(Place(loc=loc, message=f"at most {MAX_OPTIONS} options"))
    if missing := len(set(labels) - set(options)):
        message = f"{missing} of the file's labels are not among the options"
        places.append(Place(loc=loc, message=message, hint="list every label, or leave the options out"))
    if places:
        raise InvalidError("the options do not fit the file", places=places)
