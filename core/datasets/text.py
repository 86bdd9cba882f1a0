"""`text` alone: continued pre-training on documents."""

from collections.abc import Iterator, Sequence
from typing import Any

from core.datasets.example import Document, Fault, Row, text_fault, text_input
from core.domain.base_facts import BaseFacts
from core.domain.metrics import PERPLEXITY, TOKEN_ACCURACY


class Text:
    """``{"text": "The harbour was built in ..."}``: a row is a document; packed into blocks where the model is."""

    name = "text"
    columns = ("text",)
    json_columns: tuple[str, ...] = ()
    metrics = (TOKEN_ACCURACY, PERPLEXITY)
    more_metrics: tuple[str, ...] = ()

    def misfit(self, facts: BaseFacts) -> Fault | None:
        """Only a model that continues a text can learn from text alone."""
        if facts.family == "causal":
            return None
        message = "this base model answers a source with a target: it cannot learn from text alone"
        return Fault(message, hint="post prompts with completions, or choose a causal base model")

    def faults(self, row: Row) -> Iterator[Fault]:
        """A text with something in it; a label would go unlearned."""
        if fault := text_fault(row, "text"):
            yield fault
        if "label" in row:
            yield Fault("a 'label' where the first row has none", hint="label every row, or none")

    def label(self, row: Row) -> str | None:
        """There are no classes here."""
        del row
        return None

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Document:
        """The text itself is learned."""
        del question, options
        return Document(row["text"])

    def inputs(self, row: Row) -> dict[str, Any]:
        """A user sends a text to be continued."""
        return {"text": row["text"]}

    def request(self, inputs: Row, *, question: str | None, options: Sequence[str] | None) -> dict[str, Any]:
        """The text is the prompt."""
        del question, options
        return {"prompt": text_input(inputs, "text")}
