"""Exports as the service answers them: a version as files that other software opens."""

from collections.abc import Mapping, Sequence

from strata.client.result import Result
from strata.client.results import TERMINAL_STATES, JobFault


class ExportedFile(Result):
    """One file of an export: its path in the folder, its size and hash, and where it is downloaded."""

    name: str
    bytes: int
    sha256: str
    href: str


class Parity(Result):
    """The proof that an export is its version: how far its logits are from the version's own."""

    max_abs_difference: float
    tolerance: float
    largest_logit: float | None = None
    same_tensors: bool | None = None
    opened_by: Mapping[str, str] = {}


class Export(Result):
    """A version in one format. Its files are there once ``state`` is succeeded."""

    id: str
    version: str
    version_id: str
    format: str
    dtype: str
    state: str
    job_id: str
    size_bytes: int | None = None
    manifest_sha256: str | None = None
    files: Sequence[ExportedFile] = ()
    parity: Parity | None = None
    error: JobFault | None = None
    created_at: str | None = None
    ready_at: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether its job is."""
        return self.state in TERMINAL_STATES
