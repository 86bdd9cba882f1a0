"""What a worker asks of the process that writes an export, and what that leaves: `spec.json` and `manifest.json`."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from core.domain.exports import ExportDtype, ExportFormat
from core.domain.trainer_spec import BaseRef, ChainLink

KIND: Final = "strata.export"
README_FILE: Final = "README.md"
PARITY_FILE: Final = "parity.json"
SUMS_FILE: Final = "SHA256SUMS"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CardScore(_Strict):
    """How well the version does on one task, by one metric."""

    metric: str
    value: float
    low: float | None
    high: float | None
    n_rows: int


class CardTask(_Strict):
    """A task that the version learned."""

    name: str
    learned_in: str
    method: str | None
    format: str
    n_rows: int
    scores: tuple[CardScore, ...]


class Card(_Strict):
    """What the model card says, as the registry knows it.

    Attributes:
        version: ``name@number``; made_at: when it was published.
        base_source: where the base model comes from, unless that is a folder of the service's machine.
        base_licence: as its maker states it; None where that is not recorded.
        left_out: names of tasks that were taken out again.
        densities: of each task's delta, in the order of ``tasks``, as far as it is known.
    """

    model: str
    version: str
    made_at: str
    base_name: str
    base_source: str | None
    base_digest: str
    base_licence: str | None
    architecture: str
    tasks: tuple[CardTask, ...]
    left_out: tuple[str, ...]
    densities: tuple[float | None, ...]
    perplexity: float | None
    base_perplexity: float | None


class ExportSpec(_Strict):
    """One `export` job.

    Attributes:
        chain: the version's deltas, in order.
        version_digest: of its folded tensors.
        lineage: the folder, within the job's, of the packed lineage that a `delta` export is made of.
    """

    schema_version: Literal[1] = 1
    base: BaseRef
    chain: tuple[ChainLink, ...]
    version_digest: str
    format: ExportFormat
    dtype: ExportDtype
    card: Card
    lineage: str | None
    threads: int

    def identity(self) -> dict[str, Any]:
        """Return what the manifest says of the export."""
        return {
            "version": self.card.version,
            "version_digest": self.version_digest,
            "format": self.format.value,
            "dtype": self.dtype.value,
        }
