"""A base model in memory: its network, tokenizer, facts and the identity of every tensor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch import Tensor

from core.domain.base_facts import BaseFacts
from core.domain.errors import CorruptError, MissingError
from core.weights import digests, facts

CONFIG: Final = "config.json"


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base model, ready to run.

    Attributes:
        model: the network in eval mode; no parameter asks for a gradient.
        stored_dtype: the dtype of the folder's weights, to which folded tensors are cast before they are hashed.
        tensor_hashes: hash of every unique tensor as stored, by name.
    """

    model: Any
    tokenizer: Any
    facts: BaseFacts
    stored_dtype: torch.dtype
    tensor_hashes: Mapping[str, str]

    def digest_with(self, folded: Mapping[str, Tensor]) -> str:
        """Return the digest of all tensors once ``folded`` (in ``stored_dtype``) replace their namesakes.

        Without any it is the base's own digest.

        Raises:
            CorruptError: a folded tensor is none of the base's.
        """
        if not set(self.tensor_hashes).issuperset(folded):
            raise CorruptError("a folded tensor is none of the base model's")
        return digests.digest_of({**self.tensor_hashes, **digests.hash_tensors(folded)})


def load(path: Path, *, dtype: torch.dtype | None = None, expected_digest: str | None = None) -> LoadedBase:
    """Load the base model of a local folder: safetensors only, none of its code, nothing over the network.

    Args:
        path: a folder of ``config.json``, ``*.safetensors`` and ``tokenizer.json``.
        dtype: what to compute in; None keeps what is stored. The digest is always that of what is stored.
        expected_digest: the digest that the tensors must have.

    Raises:
        MissingError: there is no such folder.
        CorruptError: the tensors are not those of ``expected_digest``, or what the folder holds cannot be understood.
        OSError: the disk does not answer now; that says nothing of what it holds.
    """
    if not (path / CONFIG).is_file():
        raise MissingError("the base model's folder is not there", code="base_model_not_found")
    model, tokenizer = _read(path)
    stored_dtype = model.get_input_embeddings().weight.dtype
    hashes = digests.hash_tensors(digests.unique_tensors(model))
    digest = digests.digest_of(hashes)
    if expected_digest not in {None, digest}:
        raise CorruptError("the base model's tensors are not the ones that were registered")
    loaded = LoadedBase(
        model=model,
        tokenizer=tokenizer,
        facts=facts.read(model, tokenizer, digest=digest),
        stored_dtype=stored_dtype,
        tensor_hashes=hashes,
    )
    model.eval().requires_grad_(requires_grad=False)
    if dtype is not None:
        model.to(dtype)
    return loaded


def _read(path: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    try:
        config = json.loads((path / CONFIG).read_bytes())
        auto = AutoModelForSeq2SeqLM if config.get("is_encoder_decoder") else AutoModelForCausalLM
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        model, report = auto.from_pretrained(
            str(path), use_safetensors=True, dtype="auto", output_loading_info=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(str(path), use_fast=True, **options)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        refusal = _refusal(error)
        if refusal is not None:
            raise OSError(refusal.errno, refusal.strerror) from error
        raise CorruptError(f"the base model's folder cannot be read ({type(error).__name__})") from error
    # transformers makes up what a file lacks, and warns.
    if report["missing_keys"] or report["mismatched_keys"]:
        raise CorruptError("the base model's folder lacks tensors that its configuration asks for")
    return model, tokenizer


def _refusal(error: Exception) -> OSError | None:
    """Return what the operating system refused, if that is behind it; what transformers finds amiss bears no errno."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, FileNotFoundError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
