"""A version in memory, as its export is written from it, and an export opened again, as others open it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from core.domain.errors import CorruptError
from core.domain.export_spec import ExportSpec
from core.domain.manifest import DELTA_FILE
from core.storage import manifests
from core.weights import base, fold
from core.weights.base import LoadedBase
from core.weights.delta import Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVersion:
    """A version: its base with the folded weights in place, in the dtype of the base's own files."""

    base: LoadedBase
    deltas: Sequence[Delta]
    spec: ExportSpec
    root: Path

    @classmethod
    def open(cls, spec: ExportSpec, root: Path) -> Self:
        """Load and verify the version that ``spec`` asks for; its paths are below ``root``.

        Raises:
            CorruptError: a delta, the base, or the sum of them is not what was published.
        """
        loaded = base.load(Path(spec.base.path), expected_digest=spec.base.digest)
        folders = [root / link.folder for link in spec.chain]
        for link, folder in zip(spec.chain, folders, strict=True):
            manifests.verify(folder, sha256=link.manifest_sha256)
        deltas = [Delta.load(folder / DELTA_FILE, shapes=loaded.facts.modules) for folder in folders]
        folded = fold.fold(loaded.model, deltas, dtype=loaded.stored_dtype)
        if loaded.digest_with(folded) != spec.version_digest:
            raise CorruptError("the folded tensors do not have the published digest")
        fold.apply(loaded.model, folded)
        return cls(base=loaded, deltas=deltas, spec=spec, root=root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An export as it was opened again, in float32.

    Attributes:
        digest: of its tensors, where the format keeps them as the version has them.
        by: names of the libraries that opened it.
    """

    model: Any
    tokenizer: Any
    digest: str | None
    by: tuple[str, ...]


class Writer(Protocol):
    """One format."""

    def write(self, version: LoadedVersion, out: Path) -> None:
        """Write the version's files into ``out``, which is not there yet.

        Raises:
            InvalidError: ``unsupported_export``: it cannot be written so.
        """

    def reopen(self, spec: ExportSpec, out: Path) -> Opened:
        """Open what was written with the software that it is for."""
