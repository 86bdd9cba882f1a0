"""What JumpLoRA cannot honour is refused with what to do next, and leaves the model as it was."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.distributed.fsdp import fully_shard

from core.learning.adapters.jumplora.model import register
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from tests.unit.core.learning.conftest import gpt2, llama

register()


def inject(base: nn.Module, **settings: Any) -> None:
    get_peft_model(base, JumpLoraConfig(**{"r": 2, "target_modules": ["q_proj"], **settings}))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("use_dora", True),
        ("lora_bias", True),
        ("modules_to_save", ["lm_head"]),
        ("trainable_token_indices", [1, 2]),
        ("target_parameters", ["self_attn.q_proj.weight"]),
        ("layer_replication", [(0, 2), (0, 2)]),
        ("ensure_weight_tying", True),
        ("fan_in_fan_out", True),
        ("use_qalora", True),
        ("alora_invocation_tokens", [1]),
        ("megatron_config", {"tensor_model_parallel_size": 2}),
    ],
)
def test_an_option_that_the_gate_cannot_honour_is_refused_by_its_name(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"`{option}`: .*(leave it|name them)"):
        JumpLoraConfig(**{option: value})


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "loftq", "lora_ga", "mica"])
def test_a_start_that_changes_the_base_is_refused(init: Any) -> None:
    with pytest.raises(ValueError, match=r"changes the base weights .* take True, 'gaussian'"):
        JumpLoraConfig(init_lora_weights=init)


@pytest.mark.parametrize("init", [True, "gaussian", "orthogonal"])
def test_any_other_start_leaves_the_model_as_it_answers(init: Any) -> None:
    base, ids = llama(), torch.arange(12).view(2, 6)
    before = base(input_ids=ids).logits
    model = get_peft_model(base, JumpLoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=init))
    torch.testing.assert_close(model(input_ids=ids).logits, before, atol=1e-5, rtol=0)


def test_meaningless_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="threshold_mode"):
        JumpLoraConfig(threshold_mode="per_entry")
    with pytest.raises(ValueError, match="always true"):
        JumpLoraConfig(use_jumplora=False)
    with pytest.raises(ValueError, match="interpolation from 0 to 1"):
        JumpLoraConfig(interpolation=1.5)
    with pytest.raises(ValueError, match="bandwidth must be over 0"):
        JumpLoraConfig(bandwidth=0.0)
    with pytest.raises(ValueError, match="bias='none'"):
        JumpLoraConfig(bias="all")
    with pytest.raises(ValueError, match="trains a new head"):
        JumpLoraConfig(task_type="SEQ_CLS")


def test_a_rank_over_the_smallest_dimension_of_a_target_is_refused_and_nothing_replaced() -> None:
    base = llama()
    with pytest.raises(ValueError, match=r"rank 9 is over the smaller dimension 8 of 'model\.layers\.0\.self_attn\.v_"):
        inject(base, r=9, target_modules=["q_proj", "v_proj"])
    assert all(type(module).__module__.partition(".")[0] != "core" for module in base.modules())
    with pytest.raises(ValueError, match="rank 17"):
        inject(base, rank_pattern={"q_proj": 17})


def test_targets_that_name_no_module_are_answered_with_names_that_do() -> None:
    with pytest.raises(ValueError, match="name no module of the model; its linear layers end in q_proj, k_proj"):
        inject(llama(), target_modules=["c_attn"])
    with pytest.raises(ValueError, match="name no module"):
        inject(llama(), target_modules=r".*\.nothing")


def test_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"adapts torch\.nn\.Linear .* is Embedding: name other target_modules"):
        inject(llama(), target_modules=["embed_tokens"])


def test_a_layer_of_another_tuner_is_refused() -> None:
    model = get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj"]))
    with pytest.raises(ValueError, match="different peft types"):
        model.add_adapter("second", JumpLoraConfig(r=2, target_modules=["q_proj"]))


@pytest.mark.parametrize("target", ["lm_head", r".*lm_head"])
def test_a_head_tied_to_the_embeddings_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="'lm_head' is another module's too"):
        inject(gpt2(), target_modules=target if "*" in target else [target])


def test_two_linear_layers_that_share_a_weight_are_refused_and_not_among_all_linear_ones() -> None:
    base = llama()
    base.model.layers[1].mlp.up_proj.weight = base.model.layers[0].mlp.up_proj.weight
    with pytest.raises(ValueError, match="another module's too"):
        inject(base, target_modules=["up_proj"])
    model = get_peft_model(base, JumpLoraConfig(r=2, target_modules="all-linear"))
    assert len(model.base_model.adapted()) == 2 * 7 - 2


class Linear4bit(nn.Linear):
    """As bitsandbytes names it."""

    __module__ = "bitsandbytes.nn.modules"


def test_quantised_layers_are_refused() -> None:
    base = llama()
    base.model.layers[0].self_attn.q_proj.__class__ = Linear4bit
    with pytest.raises(ValueError, match=r"quantised \(Linear4bit\).*without a quantization_config"):
        inject(base)
    base = llama()
    layer = base.model.layers[1].self_attn.q_proj
    layer.weight = nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match="quantised"):
        inject(base)


@pytest.fixture
def one_rank() -> Iterator[None]:
    store = torch.distributed.HashStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
def test_sharded_models_are_refused() -> None:
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    base = llama()
    fully_shard(base.model.layers[0], mesh=mesh)
    with pytest.raises(ValueError, match="FSDP shards them: train on one device, or with DDP"):
        inject(base)
