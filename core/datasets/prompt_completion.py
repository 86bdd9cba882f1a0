"""`prompt` and `completion`: the file says word for word what is read and what is written."""

from collections.abc import Iterator, Sequence

from core.datasets.example import Example, Fault, Row, text_fault


class PromptCompletion:
    """``{"prompt": "Is it on? Answer:", "completion": " yes"}``: both are taken as they are."""

    name = "prompt_completion"
    columns = ("prompt", "completion")

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
