import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn

from core.learning.adapters.jumplora.model import JumpLoraModel, block_of, register
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from tests.unit.core.learning.conftest import VOCABULARY, gpt2, llama, t5

register()
register()


def adapted(base: nn.Module, mode: str, targets: list[str]) -> PeftModel:
    config = JumpLoraConfig(r=2, lora_alpha=8, target_modules=targets, threshold_mode=mode)
    model = get_peft_model(base, config)
    for layer in model.base_model.adapted().values():
        nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    return model


def finished(model: PeftModel, adapter: str = "default") -> PeftModel:
    for layer in model.base_model.adapted(adapter).values():
        nn.init.normal_(layer.lora_B[adapter].weight, std=0.1)
    model.base_model.start_thresholds(adapter)
    model.base_model.set_interpolation(1.0, adapter)
    return model.eval()


def llama_adapted(mode: str = "global") -> PeftModel:
    return adapted(llama(), mode, ["q_proj", "v_proj"])


def distinct_thresholds(tuner: JumpLoraModel, adapter: str = "default") -> int:
    return len({id(layer.lora_log_threshold[adapter]) for layer in tuner.adapted(adapter).values()})


def test_a_block_is_named_up_to_its_first_number() -> None:
    assert block_of("model.layers.10.self_attn.q_proj") == "model.layers.10"
    assert block_of("encoder.block.1.layer.0.SelfAttention.q") == "encoder.block.1"
    assert block_of("decoder.block.1.layer.1.EncDecAttention.q") == "decoder.block.1"
    assert not block_of("lm_head")


def test_thresholds_are_one_for_the_model_or_one_for_each_block() -> None:
    assert distinct_thresholds(llama_adapted("global").base_model) == 1
    assert distinct_thresholds(llama_adapted("per_block").base_model) == 2


def test_encoder_and_decoder_blocks_of_the_same_number_are_apart() -> None:
    tuner = adapted(t5(), "per_block", ["q", "v"]).base_model
    assert list(tuner.thresholds()) == ["encoder.block.0", "encoder.block.1", "decoder.block.0", "decoder.block.1"]
    assert distinct_thresholds(tuner) == 4


def test_a_threshold_starts_as_an_fp32_number_in_every_precision() -> None:
    (theta,) = llama_adapted().base_model.thresholds().values()
    assert float(theta.detach()) == float(torch.tensor(-4.7, dtype=torch.float32))


@pytest.mark.parametrize(("mode", "offset"), [("global", 1), ("per_block", 0)])
def test_thresholds_start_at_the_published_order_statistic(mode: str, offset: int) -> None:
    tuner = llama_adapted(mode).base_model
    tuner.start_thresholds()
    for group, layers in tuner.groups().items():
        magnitudes = torch.cat([layer.product("default").abs().flatten() for layer in layers]).sort().values
        factors = sum(2 * (layer.in_features + layer.out_features) for layer in layers)
        expected = magnitudes[max(len(magnitudes) - factors + offset, 1) - 1]
        torch.testing.assert_close(tuner.thresholds()[group].detach().exp()[0], expected, rtol=1e-14, atol=0)


def test_a_product_of_zeros_starts_at_the_smallest_threshold() -> None:
    tuner = get_peft_model(llama(), JumpLoraConfig(r=2, target_modules=["q_proj"])).base_model
    tuner.start_thresholds()
    (theta,) = tuner.thresholds().values()
    assert float(theta.detach().exp()) == pytest.approx(1e-12)


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_a_saved_adapter_loads_sparse_with_its_thresholds_tied_again(
    tmp_path: Path,
    low_cpu_mem_usage: bool,  # noqa: FBT001
) -> None:
    model = llama_adapted("per_block")
    model.base_model.start_thresholds()
    model.base_model.set_interpolation(1.0)
    ids = torch.randint(0, VOCABULARY, (2, 6))
    expected = model(input_ids=ids).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(llama(), tmp_path, low_cpu_mem_usage=low_cpu_mem_usage, is_trainable=True)
    torch.testing.assert_close(loaded(input_ids=ids).logits, expected, rtol=0, atol=0)
    assert distinct_thresholds(loaded.base_model) == 2
    assert loaded.peft_config["default"].interpolation == 1.0


def test_two_adapters_keep_apart_in_one_batch_and_disabled_they_leave_the_base() -> None:
    base = llama()
    ids = torch.randint(0, VOCABULARY, (3, 6))
    plain = base(input_ids=ids).logits
    model = adapted(base, "global", ["q_proj", "v_proj"]).eval()
    model.base_model.set_interpolation(1.0)
    first = model(input_ids=ids).logits
    model.add_adapter("second", JumpLoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"], interpolation=0.0))
    mixed = model(input_ids=ids, adapter_names=["default", "second", "__base__"]).logits
    torch.testing.assert_close(mixed[0], first[0])
    torch.testing.assert_close(mixed[1:], plain[1:])
    with model.disable_adapter():
        torch.testing.assert_close(model(input_ids=ids).logits, plain)


def test_merging_away_the_adapter_leaves_its_forward_pass() -> None:
    model = llama_adapted()
    model.base_model.start_thresholds()
    model.base_model.set_interpolation(1.0)
    ids = torch.randint(0, VOCABULARY, (2, 6))
    expected = model(input_ids=ids).logits
    torch.testing.assert_close(model.merge_and_unload(safe_merge=True)(input_ids=ids).logits, expected)


def test_mixtures_of_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be mixed"):
        llama_adapted().add_weighted_adapter(["default"], [1.0], "mixed")


def test_merging_and_unmerging_in_place_are_the_forward_pass_and_the_base() -> None:
    model = finished(llama_adapted())
    ids = torch.randint(0, VOCABULARY, (2, 6))
    expected = model(input_ids=ids).logits
    with model.disable_adapter():
        plain = model(input_ids=ids).logits
    assert not torch.allclose(expected, plain)
    model.merge_adapter(safe_merge=True)
    torch.testing.assert_close(model(input_ids=ids).logits, expected)
    model.unmerge_adapter()
    torch.testing.assert_close(model(input_ids=ids).logits, expected)
    torch.testing.assert_close(model.unload()(input_ids=ids).logits, plain)


def test_merging_two_adapters_adds_both_and_each_can_be_merged_alone() -> None:
    ids = torch.randint(0, VOCABULARY, (2, 6))
    model = finished(llama_adapted())
    model.add_adapter(
        "second", JumpLoraConfig(r=3, lora_alpha=6, target_modules=["q_proj"], threshold_mode="per_block")
    )
    finished(model, "second").base_model.set_adapter(["default", "second"])
    both = model(input_ids=ids).logits
    model.set_adapter("second")
    alone = model(input_ids=ids).logits
    model.merge_adapter(adapter_names=["second"])
    torch.testing.assert_close(model(input_ids=ids).logits, alone)
    with pytest.warns(UserWarning, match="additionally merging default"):
        model.merge_adapter(adapter_names=["default"])
    torch.testing.assert_close(model(input_ids=ids).logits, both)


def test_a_deleted_adapter_leaves_nothing_of_itself_and_the_other_as_it_was() -> None:
    ids = torch.randint(0, VOCABULARY, (2, 6))
    model = finished(llama_adapted("per_block"))
    expected = model(input_ids=ids).logits
    model.add_adapter("second", JumpLoraConfig(r=2, target_modules=["q_proj", "k_proj"]))
    model.delete_adapter("second")
    torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=0, atol=0)
    assert not [name for name, _ in model.named_parameters() if "second" in name]
    assert all(
        "second" not in table
        for layer in model.base_model.adapted().values()
        for table in (layer.bandwidth, layer.interpolation, layer.lora_log_threshold, layer.lora_variant)
    )
    assert "second" not in model.peft_config


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_an_adapter_loaded_beside_another_is_tied_too_and_leaves_it_alone(
    tmp_path: Path,
    low_cpu_mem_usage: bool,  # noqa: FBT001
) -> None:
    ids = torch.randint(0, VOCABULARY, (2, 6))
    saved = finished(llama_adapted("per_block"))
    expected = saved(input_ids=ids).logits
    saved.save_pretrained(tmp_path)
    model = finished(llama_adapted("global"))
    mine = model(input_ids=ids).logits
    model.load_adapter(tmp_path, "loaded", low_cpu_mem_usage=low_cpu_mem_usage, is_trainable=True)
    assert distinct_thresholds(model.base_model, "loaded") == 2
    assert distinct_thresholds(model.base_model) == 1
    torch.testing.assert_close(model(input_ids=ids).logits, mine, rtol=0, atol=0)
    model.set_adapter("loaded")
    torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=0, atol=0)
    model(input_ids=ids, labels=ids).loss.backward()
    trained = {id(p) for name, p in model.named_parameters() if "log_threshold.loaded" in name and p.grad is not None}
    assert len(trained) == 2


def test_a_peft_that_does_not_know_the_method_refuses_it_loudly(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "base")
    finished(llama_adapted()).save_pretrained(tmp_path / "adapter")
    program = f"""
from peft import PeftModel
from transformers import LlamaForCausalLM
PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained({str(tmp_path / "base")!r}), {str(tmp_path / "adapter")!r})
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("KeyError: 'JUMPLORA'")


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        (["q_proj", "v_proj"], 4),
        (["model.layers.1.mlp.up_proj"], 1),
        (r".*layers\.0\..*_proj", 7),
        ("all-linear", 14),
    ],
)
def test_targets_are_names_an_expression_or_all_linear_layers_but_the_head(targets: Any, count: int) -> None:
    tuner = get_peft_model(llama(), JumpLoraConfig(r=2, target_modules=targets)).base_model
    assert len(tuner.adapted()) == count
    assert "lm_head" not in tuner.adapted()


def test_all_linear_layers_are_found_beneath_another_adapter_too() -> None:
    model = llama_adapted()
    model.add_adapter("second", JumpLoraConfig(r=2, target_modules="all-linear"))
    assert len(model.base_model.adapted("second")) == 14


@pytest.mark.parametrize("mode", ["global", "per_block"])
def test_a_transposed_model_is_saved_loaded_and_merged_as_any_other(tmp_path: Path, mode: str) -> None:
    ids = torch.randint(0, VOCABULARY, (2, 6))
    model = get_peft_model(gpt2(), JumpLoraConfig(r=2, target_modules="all-linear", threshold_mode=mode))
    assert len(finished(model).base_model.adapted()) == 8
    expected = model(input_ids=ids).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(gpt2(), tmp_path)
    torch.testing.assert_close(loaded(input_ids=ids).logits, expected, rtol=0, atol=0)
    loaded.merge_adapter()
    torch.testing.assert_close(loaded(input_ids=ids).logits, expected)
    torch.testing.assert_close(model.merge_and_unload(safe_merge=True)(input_ids=ids).logits, expected)


def test_a_model_without_known_targets_asks_for_them() -> None:
    with pytest.raises(ValueError, match="specify `target_modules`"):
        get_peft_model(nn.Sequential(nn.Linear(4, 4)), JumpLoraConfig(r=2))
