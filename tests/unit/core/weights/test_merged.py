"""A merged folder is opened by plain transformers and says what base and chain say."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from core.domain.errors import CorruptError
from core.serving import clone
from core.weights import base
from core.weights.canary import compute
from core.weights.delta import Delta
from core.weights.fold import fold
from core.weights.merged import write_merged
from tests.tiny_models import tiny_gpt2, tiny_llama, tiny_t5

MAKERS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "t5": tiny_t5}


def chain_of(folder: Path, *, count: int) -> list[Delta]:
    """Return random sparse deltas of the layers that methods adapt."""
    facts = base.load(folder).facts
    torch.manual_seed(1)
    shapes = {name: shape for name, shape in facts.modules.items() if name.split(".")[-1] in facts.default_targets}
    return [
        Delta.from_dense(
            {name: torch.randn(shape) * (torch.rand(shape) < 0.2) for name, shape in shapes.items()}, sparse=True
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("family", MAKERS)
def test_plain_transformers_opens_it_and_gives_the_same_logits(family: str, tmp_path: Path) -> None:
    folder = MAKERS[family](tmp_path / "base")
    chain = chain_of(folder, count=3)
    written = write_merged(folder, chain, tmp_path / "out")
    auto = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    opened = auto.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    loaded = base.load(folder)
    version = clone.with_weights(loaded.model, fold(loaded.model, chain))
    said = compute(opened, tokenizer, loaded.facts.family)
    expected = compute(version, loaded.tokenizer, loaded.facts.family)
    assert torch.equal(said["tokens"], expected["tokens"])
    assert float((said["logits"] - expected["logits"]).abs().max()) <= 1e-4
    assert written.digest == loaded.digest_with(fold(loaded.model, chain, dtype=loaded.stored_dtype))
    assert written.size_bytes == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
    assert base.load(tmp_path / "out").facts.digest == written.digest, "it is a base model like any other"


def test_halves_stay_halves(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base", dtype=torch.bfloat16)
    write_merged(folder, chain_of(folder, count=2), tmp_path / "out")
    assert base.load(tmp_path / "out").stored_dtype is torch.bfloat16


def test_a_chain_of_other_bits_is_not_written(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "base")
    with pytest.raises(CorruptError, match="published digest"):
        write_merged(folder, chain_of(folder, count=1), tmp_path / "out", expected_digest="0" * 64)
    with pytest.raises(CorruptError, match="registered"):
        write_merged(folder, [], tmp_path / "out", base_digest="0" * 64)
    assert not (tmp_path / "out").exists()
