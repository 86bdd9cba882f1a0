"""Exports: versions as files that other software opens."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Request, View
from api.schemas.tasks import JobErrorView
from core.domain.exports import ExportDtype, ExportFormat, Parity
from core.domain.jobs import JobState


class ExportRequest(Request):
    """Export a version."""

    format: ExportFormat
    dtype: ExportDtype | None = Field(
        default=None,
        description="`f32` or `f16` for `gguf`, by default `f32`; the other formats are written in one way only.",
    )


class ExportFileView(View):
    """One file of an export."""

    name: str = Field(description="Its path in the folder.")
    bytes: int
    sha256: str
    href: str = Field(description="Where it is downloaded: whole, or from any byte on with `Range`.")


class ExportView(View):
    """A version in one format. What is null is known once `state` is `succeeded`."""

    id: str
    object: Literal["export"] = "export"
    model_id: str
    version_id: str
    version: str = Field(description="`model@number`.")
    format: ExportFormat
    dtype: ExportDtype = Field(description="`stored` is as the base model's weights are.")
    state: JobState = Field(description="Of the job that builds it.")
    job_id: str
    size_bytes: int | None
    manifest_sha256: str | None = Field(
        description="Of `manifest.json`, which names every other file by size and hash."
    )
    files: list[ExportFileView]
    parity: Parity | None = Field(description="The proof that the files are the version, as in `parity.json`.")
    error: JobErrorView | None
    created_at: str
    ready_at: str | None
