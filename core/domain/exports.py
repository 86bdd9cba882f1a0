"""Exports: a version as files that other software opens, and what must be so that there can be one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel as Model
from pydantic import ConfigDict, Field

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place


class ExportFormat(StrEnum):
    """As what a version leaves: see docs/how-to/export.md."""

    DELTA = "delta"
    ADAPTER = "adapter"
    MERGED = "merged"
    GGUF = "gguf"


class ExportDtype(StrEnum):
    """In which numbers: as the base model's weights are stored, or in floats of 32 or 16 bits."""

    STORED = "stored"
    F32 = "f32"
    F16 = "f16"


# What each format may be written in, its default first.
DTYPES: Final[Mapping[ExportFormat, tuple[ExportDtype, ...]]] = {
    ExportFormat.DELTA: (ExportDtype.STORED,),
    ExportFormat.ADAPTER: (ExportDtype.F32,),
    ExportFormat.MERGED: (ExportDtype.STORED,),
    ExportFormat.GGUF: (ExportDtype.F32, ExportDtype.F16),
}
# Of these the linear layers are `Conv1D`, which PEFT's SHiRA does not adapt.
_TRANSPOSED: Final = frozenset({"GPT2LMHeadModel", "OpenAIGPTLMHeadModel"})
_LLAMAS: Final = frozenset({"LlamaForCausalLM"})
_OF_NO_TASK: Final = frozenset({ExportFormat.DELTA, ExportFormat.ADAPTER})
_BYTES: Final = {ExportDtype.F32: 4, ExportDtype.F16: 2}


class ExportedFile(Model):
    """One file of an export: its path inside the folder, its size and its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Parity(Model):
    """The proof that an export is its version: both opened, and their logits after the same prompts compared.

    Attributes:
        version_digest: of the version's folded tensors, which is what the manifest of the version says.
        same_tensors: whether the exported tensors have that very digest; None of a format that keeps them otherwise.
        max_abs_difference: the largest of any logit of the vocabulary, after any prompt.
        largest_logit: of the version's own, in absolute value: the scale.
        tolerance: what the difference may be.
        opened_by: the libraries that opened the exported files, with their versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version_digest: str
    same_tensors: bool | None
    prompts: tuple[str, ...]
    max_abs_difference: float = Field(ge=0)
    largest_logit: float = Field(ge=0)
    tolerance: float = Field(gt=0)
    opened_by: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One version in one format; what is None is known once its job has succeeded.

    Attributes:
        job_id: the latest job that builds, or built, it.
        artefact: its key in the ArtefactStore.
        files: every file with its hash (`ExportedFile` as JSON).
        parity: see `Parity`, as JSON.
    """

    id: str
    project_id: str
    model_id: str
    version_id: str
    format: ExportFormat
    dtype: ExportDtype
    job_id: str
    manifest_sha256: str | None
    artefact: str | None
    size_bytes: int | None
    files: list[dict[str, object]] | None
    parity: Mapping[str, object] | None
    created_ms: int
    ready_ms: int | None


def export_key(*, project_id: str, model_id: str, manifest_sha256: str) -> str:
    """Return the key under which an export's folder lies in the ArtefactStore."""
    return f"exports/{project_id}/{model_id}/{manifest_sha256}"


def require_dtype(format: ExportFormat, dtype: ExportDtype | None) -> ExportDtype:  # noqa: A002 - the users' word
    """Return what an export is written in: what was asked, or else the format's default.

    Raises:
        InvalidError: the format is not written in it.
    """
    allowed = DTYPES[format]
    if dtype is not None and dtype not in allowed:
        places = [Place(loc=("dtype",), message=f"{format} is written as {' or '.join(allowed)}")]
        raise InvalidError("the format is not written in these numbers", code="unsupported_export", places=places)
    return dtype or allowed[0]


def require_possible(format: ExportFormat, facts: BaseFacts, *, is_base: bool) -> None:  # noqa: A002 - the users' word
    """Check that a version of a base model can be written in a format, as far as that is known without its weights.

    Args:
        format: what is asked.
        facts: of the base model.
        is_base: whether the version is the base itself, which has learned nothing.

    Raises:
        InvalidError: ``unsupported_export``, with what to ask for instead.
    """
    why = _why_not(format, facts, is_base=is_base)
    if why is not None:
        message, hint = why
        places = [Place(loc=("format",), message=message, hint=hint)]
        raise InvalidError(f"this version cannot be exported as {format}", code="unsupported_export", places=places)


def expected_bytes(format: ExportFormat, dtype: ExportDtype, facts: BaseFacts, *, delta_bytes: int) -> int:  # noqa: A002 - the users' word
    """Return about how large an export will be; ``delta_bytes`` are those of the chain's deltas."""
    if format in _OF_NO_TASK:
        # An index of a SHiRA entry takes twice the room of a delta's, and its layers are filled up.
        return 3 * delta_bytes
    return facts.parameters * _BYTES[dtype] if dtype in _BYTES else facts.size_bytes


def _why_not(format: ExportFormat, facts: BaseFacts, *, is_base: bool) -> tuple[str, str] | None:  # noqa: A002 - as above
    if is_base and format in _OF_NO_TASK:
        return "version 0 is the base model: it has learned no task", "export it as merged or gguf"
    if format is ExportFormat.ADAPTER and facts.architecture in _TRANSPOSED:
        return "PEFT's SHiRA adapts torch.nn.Linear, and this model's layers are Conv1D", "export it as merged"
    if format is ExportFormat.GGUF and facts.architecture not in _LLAMAS:
        return f"gguf is written of the Llama family, and this model is a {facts.architecture}", "export it as merged"
    return None
