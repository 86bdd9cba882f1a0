"""`prompt` and `completion`: the file says word for word what is read and what is written."""

from collections.abc import Iterator, Sequence
from typing import Any

from core.datasets.example import Example, Fault, Row, text_fault, text_input
from core.domain.base_facts import BaseFacts
from core.domain.metrics import EXACT_MATCH, ROUGE_L, TOKEN_F1


class PromptCompletion:
    """``{"prompt": "Is it on? Answer:", "completion": " yes"}``: both are taken as they are."""

    name = "prompt_completion"
    columns = ("prompt", "completion")
    json_columns: tuple[str, ...] = ()
    metrics = (EXACT_MATCH, TOKEN_F1, ROUGE_L)
    more_metrics: tuple[str, ...] = ()

    def misfit(self, facts: BaseFacts) -> Fault | None:
        """Every base model can learn this."""
        del facts
        return None

    def faults(self, row: Row) -> Iterator[Fault]:
        """Both are texts with something in them."""
        for column in self.columns:
            if fault := text_fault(row, column):
                yield fault

    def label(self, row: Row) -> str | None:
        """There are no classes here."""
        del row
        return None

    def render(self, row: Row, *, question: str | None, options: Sequence[str] | None) -> Example:
        """Prompt and target are the columns themselves."""
        del question, options
        return Example(prompt=row["prompt"], target=row["completion"])

    def inputs(self, row: Row) -> dict[str, Any]:
        """A user sends the prompt."""
        return {"prompt": row["prompt"]}

    def request(self, inputs: Row, *, question: str | None, options: Sequence[str] | None) -> dict[str, Any]:
        """The prompt goes on as it is."""
        del question, options
        return {"prompt": text_input(inputs, "prompt")}
