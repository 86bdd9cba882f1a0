"""`text` and `label`: classification, asked as a question with options."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from core.datasets.example import Example, Fault, Row, text_fault, text_input
from core.domain.base_facts import BaseFacts
from core.domain.metrics import EXACT_MATCH, OPTION_LIKELIHOOD

MAX_LABEL_CHARS: Final = 200
DEFAULT_QUESTION: Final = "Which label fits this text?"


class TextLabel:
    """``{"text": "The tap drips.", "label": "plumbing"}``; labels are short texts, or whole numbers throughout."""

    name = "text_label"
    columns = ("text", "label")
    json_columns: tuple[str, ...] = ()
    metrics = (EXACT_MATCH,)
    more_metrics: tuple[str, ...] = (OPTION_LIKELIHOOD,)

    def misfit(self, facts: BaseFacts) -> Fault | None:
        """Every base model can learn this."""
        del facts
        return None

    def faults(self, row: Row) -> Iterator[Fault]:
        """A text with something in it, a label of one short line."""
        if fault := text_fault(row, "text"):
            yield fault
        if fault := _label_fault(row):
            yield fault

    def label(self, row: Row) -> str | None:
        """Return the label as it will be written."""
        return str(row["label"])

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Example:
        """Ask ``question``, list the options, show the text; the target is the label after one space."""
        choices = tuple(options or ())
        head = f"{question or DEFAULT_QUESTION}\nOptions: {', '.join(choices)}\n"
        text = row["text"]
        return Example(
            prompt=f"{head}{text}\nAnswer:",
            target=f" {row['label']}",
            options=choices,
            cut=(len(head), len(head) + len(text)),
        )

    def inputs(self, row: Row) -> dict[str, Any]:
        """A user sends the text."""
        return {"text": row["text"]}

    def request(self, inputs: Row, *, question: str | None, options: Sequence[str] | None) -> dict[str, Any]:
        """The text is asked about as every row was."""
        row = {"text": text_input(inputs, "text"), "label": ""}
        return {"prompt": self.render(row, question=question, options=options).prompt}


def _label_fault(row: Row) -> Fault | None:
    label = row["label"]
    if isinstance(label, int) and not isinstance(label, bool):
        return None
    if not isinstance(label, str):
        return Fault("'label' must be a string or a whole number")
    return text_fault(row, "label") or option_fault(label)


def option_fault(option: str) -> Fault | None:
    """Return what keeps ``option`` from standing in a list of options, or None."""
    if option != option.strip() or not option:
        return Fault("a label must not begin or end with white space", hint="trim it")
    if len(option) > MAX_LABEL_CHARS:
        return Fault(f"a label has at most {MAX_LABEL_CHARS} characters")
    if not option.isprintable():
        return Fault("a label is one line without control characters")
    return None
