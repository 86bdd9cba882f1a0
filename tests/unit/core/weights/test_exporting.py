"""Every format, written and opened again by the library that it is for: it answers as the engine's version does."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from core.domain.errors import CorruptError, InvalidError
from core.domain.exports import ExportDtype, ExportFormat, Parity
from core.serving.loading import LiveVersion, VersionLoader
from core.serving.servable import Servable
from core.storage import manifests
from tests.tiny_models import tiny_gpt2, tiny_llama, tiny_t5
from tests.tiny_versions import Shelf
from tests.unit.core.weights.exported import chained, exported

PROMPT = "The harbour office opens at nine, and 20 parcels"
BASES: dict[str, Callable[..., Path]] = {"llama": tiny_llama, "gpt2": tiny_gpt2, "t5": tiny_t5}


@dataclass(frozen=True)
class Published:
    """A version of two tasks, and the engine's."""

    shelf: Shelf
    version: Servable
    live: LiveVersion

    def logits(self) -> Tensor:
        return answer(self.live.module, self.live.tokenizer)


def answer(model: Any, tokenizer: Any) -> Tensor:
    inputs = {"input_ids": tokenizer(PROMPT, return_tensors="pt").input_ids}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad(), torch.sparse.check_sparse_tensor_invariants():
        logits: Tensor = model.eval()(**inputs).logits.float()
    return logits


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Published]:
    """Versions of each base, made once."""
    known: dict[tuple[str, torch.dtype], Published] = {}

    def of(base: str, dtype: torch.dtype = torch.float32) -> Published:
        if (base, dtype) not in known:
            root = tmp_path_factory.mktemp(base)
            shelf = Shelf(root, BASES[base](root / "base", dtype=dtype))
            version = chained(shelf)
            loader = VersionLoader(artefacts=shelf.artefacts, cache=root / "cache", device=torch.device("cpu"))
            known[base, dtype] = Published(shelf, version, loader.load(version))
        return known[base, dtype]

    return of


def proof(folder: Path) -> Parity:
    return Parity.model_validate_json((folder / "parity.json").read_bytes())


@pytest.mark.parametrize("base", BASES)
def test_a_merged_export_opens_in_plain_transformers_and_says_the_same(
    base: str, published: Callable[..., Published], tmp_path: Path
) -> None:
    made = published(base)
    folder = exported(made.shelf, made.version, tmp_path, ExportFormat.MERGED)
    auto = AutoModelForSeq2SeqLM if base == "t5" else AutoModelForCausalLM
    found = answer(auto.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    assert float((found - made.logits()).abs().max()) <= 1e-4
    shown = proof(folder)
    assert (shown.same_tensors, shown.version_digest) == (True, made.version.digest)
    assert shown.max_abs_difference == 0.0


def test_a_base_in_half_precision_is_merged_into_the_very_bits(
    published: Callable[..., Published], tmp_path: Path
) -> None:
    made = published("llama", torch.bfloat16)
    folder = exported(made.shelf, made.version, tmp_path, ExportFormat.MERGED)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.bfloat16
    assert torch.equal(answer(model, AutoTokenizer.from_pretrained(folder)), made.logits())


@pytest.mark.parametrize("base", ["llama", "t5"])
def test_an_adapter_opens_in_peft_and_says_the_same(
    base: str, published: Callable[..., Published], tmp_path: Path
) -> None:
    made = published(base)
    folder = exported(made.shelf, made.version, tmp_path, ExportFormat.ADAPTER)
    auto = AutoModelForSeq2SeqLM if base == "t5" else AutoModelForCausalLM
    model = PeftModel.from_pretrained(auto.from_pretrained(made.version.base_path), folder)
    found = answer(model, AutoTokenizer.from_pretrained(made.version.base_path))
    assert float((found - made.logits()).abs().max()) <= 1e-4
    shown = proof(folder)
    assert shown.tolerance == pytest.approx(1e-4 * max(1.0, shown.largest_logit))
    assert shown.max_abs_difference <= 1e-4


@pytest.mark.parametrize(("dtype", "allowed"), [(ExportDtype.F32, 1e-4), (ExportDtype.F16, 5e-2)])
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_opens_in_transformers_again_and_says_the_same(
    dtype: ExportDtype, allowed: float, *, tied: bool, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path, tiny_llama(tmp_path / "base", tie_word_embeddings=tied, rope_theta=5000.0))
    version = chained(shelf)
    loader = VersionLoader(artefacts=shelf.artefacts, cache=tmp_path / "cache", device=torch.device("cpu"))
    live = loader.load(version)
    folder = exported(shelf, version, tmp_path / "job", ExportFormat.GGUF, dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    own = answer(live.module, live.tokenizer)
    assert float((answer(model, tokenizer) - own).abs().max()) <= allowed * max(1.0, float(own.abs().max()))
    assert tokenizer.eos_token == live.tokenizer.eos_token
    assert tokenizer.chat_template == live.tokenizer.chat_template
    if dtype is ExportDtype.F16:
        exact = exported(shelf, version, tmp_path / "exact", ExportFormat.GGUF, ExportDtype.F32)
        assert (folder / "model.gguf").stat().st_size < (exact / "model.gguf").stat().st_size


def test_every_file_is_listed_with_its_hash_and_the_card_reads_as_one(
    published: Callable[..., Published], tmp_path: Path
) -> None:
    made = published("llama")
    folder = exported(made.shelf, made.version, tmp_path, ExportFormat.MERGED)
    body = manifests.verify(folder)
    assert body["export"]["version_digest"] == made.version.digest
    assert {entry["name"] for entry in body["files"]} > {"README.md", "parity.json", "SHA256SUMS", "model.safetensors"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    card = ModelCard.load(folder / "README.md")
    assert (card.data.base_model, card.data.license, card.data.library_name) == (
        "org/tiny",
        "apache-2.0",
        "transformers",
    )
    assert [(each.dataset_type, each.metric_value) for each in card.data.eval_results] == [
        ("codes-1", 0.75),
        ("codes-2", 0.75),
    ]
    for told in ("codes-1", "jumplora", "1.0000%", "apache-2.0", made.version.digest, "exact_match 0.750"):
        assert told in card.text, told


def test_what_was_exported_once_is_the_same_when_it_is_exported_again(
    published: Callable[..., Published], tmp_path: Path
) -> None:
    made = published("llama")
    folders = [exported(made.shelf, made.version, tmp_path / str(n), ExportFormat.GGUF) for n in range(2)]
    first, second = (hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() for folder in folders)
    assert first == second


def test_layers_that_peft_does_not_adapt_are_refused(published: Callable[..., Published], tmp_path: Path) -> None:
    made = published("gpt2")
    with pytest.raises(InvalidError, match=r"Conv1D.*merged") as refused:
        exported(made.shelf, made.version, tmp_path, ExportFormat.ADAPTER)
    assert refused.value.code == "unsupported_export"


def test_an_update_that_fills_its_layers_is_no_adapter(published: Callable[..., Published], tmp_path: Path) -> None:
    made = published("llama")
    full = made.shelf.original()
    for seed in range(3, 40):
        full = made.shelf.child(full, seed=seed)
    with pytest.raises(InvalidError, match="too full") as refused:
        exported(made.shelf, full, tmp_path, ExportFormat.ADAPTER)
    assert refused.value.code == "unsupported_export"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "scaled"),
    ],
)
def test_a_llama_that_the_format_does_not_say_is_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, tiny_llama(tmp_path / "base", **changes))
    with pytest.raises(InvalidError, match=why) as refused:
        exported(shelf, chained(shelf), tmp_path / "job", ExportFormat.GGUF)
    assert refused.value.code == "unsupported_export"


def test_a_tokenizer_that_splits_in_a_way_without_a_name_is_refused(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    parts = json.loads((folder / "tokenizer.json").read_text())
    parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, parts["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    shelf = Shelf(tmp_path, folder)
    with pytest.raises(InvalidError, match="Whitespace"):
        exported(shelf, chained(shelf), tmp_path / "job", ExportFormat.GGUF)


def test_an_export_that_says_something_else_is_not_delivered(tmp_path: Path) -> None:
    """The prompts hold digits, which a reader of this vocabulary that does not part them reads as other tokens."""
    folder = tiny_llama(tmp_path / "base")
    parts = json.loads((folder / "tokenizer.json").read_text())
    parts["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, parts["pre_tokenizer"]],
    }
    vocabulary = parts["model"]["vocab"]
    new = max(vocabulary.values()) + 1
    vocabulary["20"] = new
    parts["model"]["merges"].insert(0, ["2", "0"])
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    shelf = Shelf(tmp_path, folder)
    with pytest.raises(InvalidError) as refused:
        exported(shelf, chained(shelf), tmp_path / "job", ExportFormat.GGUF)
    assert refused.value.code in {"parity_failed", "unsupported_export"}
    assert not manifests.is_complete(tmp_path / "job" / "out")


def test_a_damaged_delta_is_not_exported(published: Callable[..., Published], tmp_path: Path) -> None:
    made = published("llama")
    other = made.shelf.child(made.shelf.original(), seed=9)
    mixed = made.version.__class__(
        version_id=made.version.version_id,
        model_id=made.version.model_id,
        base_path=made.version.base_path,
        base_digest=made.version.base_digest,
        digest=made.version.digest,
        chain=other.chain,
    )
    with pytest.raises(CorruptError):
        exported(made.shelf, mixed, tmp_path, ExportFormat.MERGED)
