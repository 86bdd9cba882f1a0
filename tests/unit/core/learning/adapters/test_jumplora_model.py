from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn

from core.learning.adapters.jumplora.model import JumpLoraModel, block_of, register
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.learning.adapters.jumplora.threshold_start import kth_smallest_magnitude
from tests.unit.core.learning.conftest import VOCABULARY, llama, t5

register()
register()


def adapted(base: nn.Module, mode: str, targets: list[str]) -> PeftModel:
    config = JumpLoraConfig(r=2, lora_alpha=8, target_modules=targets, threshold_mode=mode)
    model = get_peft_model(base, config)
    for layer in model.base_model.adapted().values():
        nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    return model


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 500, 1999, 2000])
def test_the_order_statistic_is_exact_with_ties_and_zeros(dtype: torch.dtype, k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    values = torch.randn(2000, generator=generator, dtype=dtype) * 1e-3
    values[:300] = 0
    values[300:600] = -values[600:900]
    tiles = list(values.split(331))
    expected = values.abs().sort().values[k - 1]
    assert kth_smallest_magnitude(lambda: tiles, k, dtype=dtype) == float(expected)


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


def test_other_layers_and_meaningless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"adapts torch\.nn\.Linear"):
        adapted(llama(), "global", ["embed_tokens"])
    with pytest.raises(ValueError, match="threshold_mode"):
        JumpLoraConfig(threshold_mode="per_entry")
    with pytest.raises(ValueError, match="always true"):
        JumpLoraConfig(use_jumplora=False)
    with pytest.raises(ValueError, match="without a bias"):
        JumpLoraConfig(lora_bias=True)
