"""A version as one plain folder: base and chain folded into one set of weights that transformers and others open."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.domain.errors import CorruptError
from core.storage import durable
from core.weights import base
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.fold import apply, fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What was written.

    Attributes:
        loaded: the base that it was made of; its network now holds the merged weights.
        digest: of the merged tensors, as the version's manifest tells it.
        size_bytes: of all files.
    """

    loaded: LoadedBase
    digest: str
    size_bytes: int


def write_merged(
    base_path: Path,
    chain: Sequence[Delta],
    out: Path,
    *,
    base_digest: str | None = None,
    expected_digest: str | None = None,
) -> Merged:
    """Write ``config.json``, the weights in safetensors and the tokenizer of base + ``chain`` to the folder ``out``.

    The weights go through `core.weights.fold.fold` and keep the dtype of the base's files: they are the bits that the
    engine answers by. The files are on disk when this returns; giving a finished folder its name is the caller's rename.

    Args:
        base_path: folder of the base model.
        chain: the deltas, oldest first; none gives the base itself.
        out: a new folder.
        base_digest: what the base's tensors must have.
        expected_digest: what the merged tensors must have, as published; None where nobody knows it.

    Raises:
        MissingError: the base model's folder is not there.
        CorruptError: base, chain or sum are not those of the digests, or do not fit each other.
        FileExistsError: ``out`` is there already.
    """
    loaded = base.load(base_path, expected_digest=base_digest)
    folded = fold(loaded.model, chain, dtype=loaded.stored_dtype)
    digest = loaded.digest_with(folded)
    if expected_digest not in {None, digest}:
        raise CorruptError("the folded tensors do not have the published digest")
    apply(loaded.model, folded)
    out.mkdir(parents=True)
    loaded.model.save_pretrained(out, safe_serialization=True)
    loaded.tokenizer.save_pretrained(out)
    durable.sync_tree(out)
    return Merged(
        loaded=loaded, digest=digest, size_bytes=sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    )
