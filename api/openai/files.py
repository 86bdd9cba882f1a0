"""`/v1/files`: datasets, as OpenAI's clients read them."""

from typing import Final, Literal

from pydantic import Field

from api.schemas.base import View
from api.uploads import FILE_SCHEMA, multipart_body
from core.datasets.containers import container
from core.domain.records import Dataset

FINE_TUNE: Final = "fine-tune"
PARTS: Final = {"file": FILE_SCHEMA, "purpose": {"type": "string", "enum": [FINE_TUNE]}}
BODY: Final = {"requestBody": {"required": True, "content": multipart_body(PARTS, ["file", "purpose"])}}


class FileView(View):
    """A dataset. What is listed here was validated when it came in: it can be learned."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str = Field(description="As it was first uploaded: the same content again is the same file.")
    purpose: Literal["fine-tune"] = "fine-tune"
    status: Literal["processed"] = "processed"
    status_details: None = None
    expires_at: None = None


def file(row: Dataset) -> FileView:
    """Show a dataset."""
    return FileView(id=row.id, bytes=row.size_bytes, created_at=row.created_ms // 1000, filename=name_of(row))


def name_of(row: Dataset) -> str:
    """Return the name that a file was uploaded under; those that came without one are named after their ids."""
    return row.report.get("file_name") or f"{row.id}.{container.of_report(row.report)}"
