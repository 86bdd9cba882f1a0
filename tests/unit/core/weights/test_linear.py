"""Linear layers of both layouts: deltas are outputs first, weights stay as their layers keep them."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from core.domain.errors import CorruptError
from core.serving.clone import with_weights
from core.weights import base, canary, digests
from core.weights.base import LoadedBase
from core.weights.delta import Delta
from core.weights.facts import linear_modules
from core.weights.fold import apply, fold
from core.weights.linear import outputs_first, tied
from tests.tiny_models import tiny_gpt2

FC, ATTENTION = "transformer.h.0.mlp.c_fc", "transformer.h.1.attn.c_attn"


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return base.load(tiny_gpt2(tmp_path_factory.mktemp("gpt2")))


def chain() -> list[Delta]:
    torch.manual_seed(2)
    updates = {FC: torch.randn(128, 32) * (torch.rand(128, 32) < 0.1), ATTENTION: torch.randn(96, 32)}
    return [Delta.from_dense(updates, sparse=True), Delta.from_dense({FC: torch.randn(128, 32)}, sparse=False)]


def test_a_transposed_weight_and_a_delta_are_summed_entry_by_entry_in_its_own_layout(gpt2: LoadedBase) -> None:
    first, second = chain()
    folded = fold(gpt2.model, [first, second])
    assert set(folded) == {f"{FC}.weight", f"{ATTENTION}.weight"}
    weight = gpt2.model.get_parameter(f"{FC}.weight").detach()
    expected = (weight + first.modules[FC].to_dense().T) + second.modules[FC].to_dense().T
    assert torch.equal(folded[f"{FC}.weight"], expected)
    assert folded[f"{FC}.weight"].is_contiguous()


def test_sparse_and_dense_deltas_of_a_transposed_layer_fold_to_the_same_bits(gpt2: LoadedBase) -> None:
    update = chain()[0].modules[FC].to_dense()
    sparse, dense = (fold(gpt2.model, [Delta.from_dense({FC: update}, sparse=kind)]) for kind in (True, False))
    assert torch.equal(sparse[f"{FC}.weight"], dense[f"{FC}.weight"])


def test_a_served_version_with_transposed_layers_is_the_trained_one(gpt2: LoadedBase, tmp_path: Path) -> None:
    for number, delta in enumerate(chain()):
        delta.save(tmp_path / str(number))
    read = [Delta.load(tmp_path / str(number), shapes=gpt2.facts.modules) for number in range(2)]
    folded = fold(gpt2.model, read, dtype=gpt2.stored_dtype)
    served = with_weights(gpt2.model, folded)
    trained = base.load(tiny_gpt2(tmp_path / "again"))
    apply(trained.model, fold(trained.model, chain()))
    assert gpt2.digest_with(folded) == digests.digest_of(digests.hash_tensors(digests.unique_tensors(trained.model)))
    canary.write(tmp_path / "canary", canary.compute(trained.model, trained.tokenizer, "causal"))
    assert canary.check(tmp_path / "canary", served, gpt2.tokenizer, "causal") < 1e-6
    with pytest.raises(CorruptError, match="deviate"):
        canary.check(tmp_path / "canary", gpt2.model, gpt2.tokenizer, "causal")


def test_a_delta_that_lies_as_the_weight_does_is_corrupt(gpt2: LoadedBase) -> None:
    with pytest.raises(CorruptError, match="shape"):
        fold(gpt2.model, [Delta.from_dense({FC: torch.ones(32, 128)}, sparse=False)])


def test_outputs_come_first_there_and_back() -> None:
    matrix = torch.arange(6.0).view(2, 3)
    transposed, straight = Conv1D(3, 2), nn.Linear(3, 2)
    assert outputs_first(transposed, transposed.weight).shape == (3, 2)
    assert torch.equal(outputs_first(transposed, outputs_first(transposed, matrix)), matrix)
    assert outputs_first(straight, matrix) is matrix


def test_layers_that_share_a_weight_are_tied_and_no_modules_to_adapt(llama: LoadedBase, tmp_path: Path) -> None:
    assert tied(llama.model) == {"model.embed_tokens", "lm_head"}
    model = base.load(tiny_gpt2(tmp_path / "shared")).model
    model.transformer.h[1].mlp.c_fc.weight = model.transformer.h[0].mlp.c_fc.weight
    assert not [name for name in linear_modules(model) if name.endswith("c_fc")]
    assert len(linear_modules(model)) == 6
