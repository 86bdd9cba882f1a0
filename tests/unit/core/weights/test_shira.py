"""A chain of deltas as a SHiRA adapter: plain PEFT answers with it as the merged model does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.domain.errors import InvalidError
from core.weights import base, fold
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.shira import export_shira

Q, V, UP = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj", "model.layers.1.mlp.up_proj"
SHAPES = {Q: (32, 32), V: (16, 32), UP: (64, 32)}

# Unpatched: the adapter is loaded where neither this package nor its registrations are imported.
PLAIN_PEFT = """
import sys
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

base, adapter, tokens, logits = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
ids = load_file(tokens)["ids"]
with torch.no_grad():
    unmerged = model(input_ids=ids).logits
    merged = model.merge_and_unload()(input_ids=ids).logits
save_file({"unmerged": unmerged.contiguous(), "merged": merged.contiguous()}, logits)
assert not any(name.partition(".")[0] in {"core", "strata"} for name in sys.modules)
"""


def updates(seed: int, density: float = 0.05) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(shape) * (torch.rand(shape) < density) for name, shape in SHAPES.items()}


def chain() -> list[Delta]:
    first, second = updates(1), updates(2)
    del second[V]
    # An entry that the second task takes back is none of the sum's.
    place = tuple(first[Q].nonzero()[0])
    second[Q][place] = -first[Q][place]
    return [Delta.from_dense(first, sparse=True), Delta.from_dense(second, sparse=False)]


def test_plain_peft_answers_with_an_exported_chain_as_the_merged_model_does(tmp_path: Path, llama_folder: Path) -> None:
    ids = torch.arange(3, 27).view(2, 12)
    save_file({"ids": ids}, tmp_path / "tokens")
    export_shira(chain(), tmp_path / "adapter")
    paths = [str(path) for path in (llama_folder, tmp_path / "adapter", tmp_path / "tokens", tmp_path / "logits")]
    subprocess.run([sys.executable, "-W", "error:Found missing", "-c", PLAIN_PEFT, *paths], check=True, cwd=tmp_path)
    loaded = base.load(llama_folder)
    plain = loaded.model(input_ids=ids).logits
    fold.apply(loaded.model, fold.fold(loaded.model, chain()))
    expected = loaded.model(input_ids=ids).logits
    assert (expected - plain).abs().max() > 0.1
    for answered in load_file(tmp_path / "logits").values():
        torch.testing.assert_close(answered, expected, atol=1e-5, rtol=0)


def test_every_layer_holds_as_many_entries_as_the_fullest_needs(tmp_path: Path) -> None:
    deltas = chain()
    done = export_shira(deltas, tmp_path / "adapter")
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    total = {name: sum(delta.modules[name].to_dense() for delta in deltas if name in delta.modules) for name in SHAPES}
    assert done.rank == max(-(-int(total[name].count_nonzero()) // sum(SHAPES[name])) for name in SHAPES)
    assert done.nnz == sum(int(update.count_nonzero()) for update in total.values()) < done.entries
    for name, shape in SHAPES.items():
        indices = tensors[f"base_model.model.{name}.shira_indices"]
        values = tensors[f"base_model.model.{name}.shira_weight"]
        assert indices.shape == (2, done.rank * sum(shape))
        flat = indices[0].long() * shape[1] + indices[1]
        assert bool((flat[1:] > flat[:-1]).all())
        dense = torch.zeros(shape).index_put((indices[0].long(), indices[1].long()), values)
        torch.testing.assert_close(dense, total[name])
    assert done.entries == done.rank * sum(map(sum, SHAPES.values()))
    header = done.size_bytes - 12 * done.entries
    assert 0 < header < 1000
    assert done.size_bytes == (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["target_modules"] == sorted(SHAPES)


def test_one_delta_and_the_chain_of_it_alone_are_the_same_file(tmp_path: Path) -> None:
    delta = chain()[0]
    export_shira(delta, tmp_path / "one")
    export_shira([delta], tmp_path / "chain")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "chain" / name).read_bytes()


def test_a_task_that_changed_nothing_exports_as_nothing_but_zeros(tmp_path: Path, llama: LoadedBase) -> None:
    done = export_shira(Delta.from_dense({Q: torch.zeros(32, 32)}, sparse=True), tmp_path)
    assert (done.nnz, done.rank) == (0, 1)
    assert not load_file(tmp_path / "adapter_model.safetensors")[f"base_model.model.{Q}.shira_weight"].any()
    assert llama.facts.modules[Q] == (32, 32)


def test_what_shira_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="no delta to export"):
        export_shira([], tmp_path)
    with pytest.raises(InvalidError, match=r"too full for SHiRA.*save the merged model instead"):
        export_shira(Delta.from_dense({Q: torch.ones(32, 32), V: torch.zeros(16, 32)}, sparse=False), tmp_path)
    with pytest.raises(InvalidError, match="disagree on the shape"):
        export_shira([Delta.from_dense({Q: torch.eye(n)}, sparse=True) for n in (4, 5)], tmp_path)
    assert not (tmp_path / "adapter_config.json").exists()
