"""Loading a base model and knowing it again."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.domain.errors import CorruptError, MissingError
from core.weights import base, digests
from core.weights.base import LoadedBase
from tests.tiny_models import tiny_llama


def test_facts_say_what_a_service_without_torch_must_know(llama: LoadedBase) -> None:
    facts = llama.facts
    assert facts.family == "causal"
    assert facts.architecture == "LlamaForCausalLM"
    assert facts.default_targets == ("q_proj", "v_proj")
    assert facts.modules["model.layers.1.self_attn.v_proj"] == (16, 32)
    assert facts.blocks["model.layers.1.mlp.up_proj"] == "model.layers.1"
    assert "lm_head" not in facts.modules
    assert facts.context_tokens == 512
    assert facts.size_bytes == 4 * facts.parameters
    assert facts.end_token == "<|im_end|>"
    assert len(facts.tokenizer_sha256) == 64
    assert facts.chat_template is not None


def test_facts_of_an_encoder_decoder_name_both_halves(t5: LoadedBase) -> None:
    assert t5.facts.family == "seq2seq"
    assert t5.facts.default_targets == ("q", "v")
    assert t5.facts.blocks["decoder.block.1.layer.1.EncDecAttention.v"] == "decoder.block.1"
    assert list(dict.fromkeys(t5.facts.blocks.values())) == [
        f"{half}.block.{n}" for half in ("encoder", "decoder") for n in (0, 1)
    ]


def test_the_same_weights_have_the_same_digest_and_others_another(tmp_path: Path, llama: LoadedBase) -> None:
    again = base.load(tiny_llama(tmp_path / "again"))
    other = base.load(tiny_llama(tmp_path / "other", seed=1))
    assert again.facts.digest == llama.facts.digest != other.facts.digest


def test_tied_tensors_count_once(llama: LoadedBase) -> None:
    assert llama.model.lm_head.weight is llama.model.model.embed_tokens.weight
    assert ("lm_head.weight" in llama.tensor_hashes) != ("model.embed_tokens.weight" in llama.tensor_hashes)


def test_no_folded_tensor_means_the_base_digest(llama: LoadedBase) -> None:
    assert llama.digest_with({}) == llama.facts.digest


def test_a_version_is_identified_by_all_its_tensors(llama: LoadedBase) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    changed = llama.model.get_parameter(name) + 1
    tensors = {**digests.unique_tensors(llama.model), name: changed}
    assert llama.digest_with({name: changed}) == digests.digest_of(digests.hash_tensors(tensors))


def test_a_base_that_changed_on_disk_is_refused(tmp_path: Path, llama_folder: Path, llama: LoadedBase) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(llama_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CorruptError, match="not the ones"):
        base.load(folder, expected_digest=llama.facts.digest)


def test_widening_for_training_keeps_the_stored_identity(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "bf16", dtype=torch.bfloat16)
    stored, widened = base.load(folder), base.load(folder, dtype=torch.float32)
    assert stored.model.dtype is stored.stored_dtype is widened.stored_dtype is torch.bfloat16
    assert widened.model.dtype is torch.float32
    assert stored.facts.digest == widened.facts.digest


def test_a_pickle_is_never_read(tmp_path: Path, llama_folder: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(llama_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CorruptError):
        base.load(folder)


def test_tensors_that_a_file_lacks_are_not_made_up(
    tmp_path: Path, llama_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    folder = tmp_path / "lacking"
    shutil.copytree(llama_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CorruptError, match="lacks tensors"):
        base.load(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="the file that cannot be read is one of Linux")
def test_a_disk_that_does_not_answer_is_not_a_corrupt_base(tmp_path: Path, llama_folder: Path) -> None:
    folder = tmp_path / "away"
    shutil.copytree(llama_folder, folder)
    (folder / base.CONFIG).unlink()
    # Reading its first byte is an I/O error.
    (folder / base.CONFIG).symlink_to("/proc/self/mem")
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's affair
        base.load(folder)


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        base.load(tmp_path / "nowhere")
