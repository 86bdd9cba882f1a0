"""Canary logits find a load that hashes cannot."""

from pathlib import Path

import pytest
import torch

from core.domain.errors import CorruptError
from core.weights import base, canary, tensor_files
from core.weights.base import LoadedBase
from tests.tiny_models import tiny_llama


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_the_same_model_sings_the_same(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    loaded: LoadedBase = request.getfixturevalue(name)
    canary.write(tmp_path / "c", canary.compute(loaded.model, loaded.tokenizer, loaded.facts.family))
    assert canary.check(tmp_path / "c", loaded.model, loaded.tokenizer, loaded.facts.family) < 1e-6


def test_other_weights_are_noticed(tmp_path: Path, llama: LoadedBase) -> None:
    other = base.load(tiny_llama(tmp_path / "other", seed=1))
    canary.write(tmp_path / "c", canary.compute(other.model, other.tokenizer, "causal"))
    with pytest.raises(CorruptError, match="deviate"):
        canary.check(tmp_path / "c", llama.model, llama.tokenizer, "causal")


@pytest.mark.parametrize("fault", ["tokens", "prompts", "names", "nan"])
def test_a_canary_file_that_fits_no_model_is_corrupt(fault: str, tmp_path: Path, llama: LoadedBase) -> None:
    song = canary.compute(llama.model, llama.tokenizer, "causal")
    faulty = {
        "tokens": {**song, "tokens": song["tokens"] + 10_000},
        "prompts": {name: tensor[:1] for name, tensor in song.items()},
        "names": {"logits": song["logits"]},
        "nan": {**song, "logits": torch.full_like(song["logits"], float("nan"))},
    }[fault]
    tensor_files.write(tmp_path / "c", {name: tensor.contiguous() for name, tensor in faulty.items()}, {})
    with pytest.raises(CorruptError):
        canary.check(tmp_path / "c", llama.model, llama.tokenizer, "causal")


def test_the_file_stays_small_whatever_the_vocabulary(llama: LoadedBase) -> None:
    song = canary.compute(llama.model, llama.tokenizer, "causal")
    assert song["tokens"].shape[1] <= 256
