"""Reads and writes safetensors files, with the checks that the format itself leaves out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.domain.errors import CorruptError

MAX_HEADER_BYTES: Final = 8 * 1024 * 1024
_LENGTH_BYTES: Final = 8
_METADATA: Final = "__metadata__"


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` (contiguous, on the CPU) and ``metadata`` to ``path``."""
    save_file(dict(tensors), str(path), metadata=dict(metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file.

    Raises:
        CorruptError: no safetensors file, a header over 8 MiB, or a name twice in it.
    """
    metadata = _metadata(_header(path))
    try:
        return load_file(str(path)), metadata
    except (SafetensorError, OSError) as error:
        raise CorruptError(f"{path.name!r} is no readable safetensors file") from error


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > MAX_HEADER_BYTES:
                raise CorruptError(f"{path.name!r} has a header of more than 8 MiB")
            header = json.loads(file.read(length), object_pairs_hook=_unique)
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path.name!r} is no readable safetensors file") from error
    if not isinstance(header, dict):
        raise CorruptError(f"{path.name!r} is no readable safetensors file")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise CorruptError("a safetensors header holds the same name twice")
    return value


def _metadata(header: Mapping[str, Any]) -> dict[str, str]:
    metadata = header.get(_METADATA, {})
    return metadata if isinstance(metadata, dict) else {}
