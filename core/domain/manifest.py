"""A version's ``manifest.json``: written last, so that its presence means that the artefact is complete.

The SHA-256 of its bytes identifies the artefact; a chain names its links by it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DELTA_FILE = "delta.safetensors"
CANARY_FILE = "canary.safetensors"

Sha256 = str


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(_Strict):
    """Who made this version, and from what: it learned a task, or is its parent without the tasks in ``left_out``."""

    project_id: str
    model_id: str
    task_id: str | None
    job_id: str
    fence: int
    parent_version_id: str
    left_out: tuple[str, ...] = ()


class ModuleSummary(_Strict):
    """One adapted linear module: its weight's shape ``(out, in)`` and how many entries the task changed.

    ``norm_ratio`` is the Frobenius norm of the change over that of the base's weight; None where nobody measured, or
    the weight is zero.
    """

    shape: tuple[int, int]
    nnz: int = Field(ge=0)
    norm_ratio: float | None = Field(default=None, ge=0)


class OverlapSummary(_Strict):
    """How far two deltas touch the same weights; see `core.weights.overlap.Overlap`."""

    shared: float = Field(ge=0, le=1)
    cosine: float = Field(ge=-1, le=1)


class DeltaSummary(_Strict):
    """The delta file in figures.

    Attributes:
        density: ``nnz`` over the entries of the adapted modules.
        overlaps: with each delta of the chain before it, in the chain's order; None where it was not measured.
    """

    file: str = DELTA_FILE
    format: Literal["sparse", "dense"]
    nnz: int = Field(ge=0)
    density: float = Field(ge=0, le=1)
    size_bytes: int = Field(ge=0)
    non_finite: int | None = Field(default=None, ge=0)
    modules: dict[str, ModuleSummary]
    overlaps: tuple[OverlapSummary, ...] | None = None


class ManifestFile(_Strict):
    """One file of the artefact beside the manifest."""

    name: str
    bytes: int = Field(ge=0)
    sha256: Sha256


class Manifest(_Strict):
    """What a version is.

    Attributes:
        base_digest: digest of the base model's tensors (`BaseFacts.digest`).
        chain: SHA-256 of the manifests before this one, in the order in which their deltas are added.
        digest: of all tensors once the chain and this delta are folded into the base.
        recipe: the effective method and training settings, as the trainer ran them; where tasks were left out, those of
            the last task of the parent, by whose limits all tasks are scored.
        template: how a row becomes a prompt (`core.datasets.templates.Template` as JSON); empty where none was learned.
        canary: name of the file of logits that a correct load reproduces.
        libraries: versions of the libraries that trained it.
    """

    schema_version: Literal[1] = 1
    provenance: Provenance
    base_digest: Sha256
    chain: tuple[Sha256, ...]
    digest: Sha256
    delta: DeltaSummary
    recipe: dict[str, Any]
    template: dict[str, Any]
    canary: str = CANARY_FILE
    files: tuple[ManifestFile, ...] = ()
    libraries: dict[str, str]
