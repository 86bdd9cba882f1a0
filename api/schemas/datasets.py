"""Datasets, their reports and their previews."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import View
from core.datasets.containers.container import Container


class DatasetView(View):
    """An immutable set of examples."""

    id: str
    object: Literal["dataset"] = "dataset"
    sha256: str
    size_bytes: int
    container: Container = Field(description="What holds the rows.")
    format: str = Field(description="What the rows are, by their columns.")
    n_rows: int
    labels: list[str] | None = Field(description="The classes found; null for a format without classes.")
    warnings: list[str]
    created_at: str


class ReportView(View):
    """The validation report as it was written when the file came in."""

    object: Literal["dataset.report"] = "dataset.report"
    dataset_id: str
    report: dict[str, Any]


class Span(View):
    """A stretch of an example's text; a message of a conversation is one, under its own role."""

    role: Literal["prompt", "target", "system", "user", "assistant"]
    masked: bool = Field(description="Masked text is read, and is no part of the loss.")
    text: str


class PreviewRow(View):
    """One rendered example; its spans follow one another in the text the model sees.

    Between the messages of a conversation the model's own chat template writes, which is not shown.
    """

    row: int = Field(description="Counted from 1.")
    spans: list[Span]


class PreviewView(View):
    """The first examples, as a task would render them."""

    object: Literal["dataset.preview"] = "dataset.preview"
    dataset_id: str
    template: dict[str, Any]
    data: list[PreviewRow]
