"""Tiny models in memory, their batches, and base folders on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from core.domain.base_facts import BaseFacts
from core.learning.loss import IGNORED, Batch
from core.weights import base
from core.weights.base import LoadedBase
from tests.tiny_models import tiny_llama, tiny_t5

VOCABULARY = 64


def llama(dtype: torch.dtype = torch.float64, layers: int = 2) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).to(dtype).requires_grad_(requires_grad=False)


def gpt2(dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=16,
        n_layer=2,
        n_head=4,
        n_positions=64,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config).to(dtype).requires_grad_(requires_grad=False)


def t5(dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    return T5ForConditionalGeneration(config).to(dtype).requires_grad_(requires_grad=False)


def causal_batch(seed: int = 0, rows: int = 4, length: int = 9) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, VOCABULARY, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[-1, -2:] = 0
    labels = ids.clone()
    labels[:, :5] = IGNORED
    labels[mask == 0] = IGNORED
    return Batch(ids, mask, labels)


def seq2seq_batch(seed: int = 0, rows: int = 4, length: int = 9) -> Batch:
    batch = causal_batch(seed, rows, length)
    labels = torch.randint(2, VOCABULARY, (rows, 4), generator=torch.Generator().manual_seed(seed + 100))
    labels[0, 3:] = IGNORED
    return Batch(batch.input_ids_BT, batch.attention_mask_BT, labels)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(params=["llama", "t5"])
def loaded(request: pytest.FixtureRequest) -> LoadedBase:
    return base.load(request.getfixturevalue(f"{request.param}_folder"))


@pytest.fixture
def loaded_llama(llama_folder: Path) -> LoadedBase:
    return base.load(llama_folder)


@pytest.fixture
def facts() -> BaseFacts:
    modules = {
        f"model.layers.{layer}.self_attn.{name}": shape
        for layer in range(2)
        for name, shape in (("q_proj", (576, 576)), ("v_proj", (192, 576)))
    }
    return BaseFacts(
        family="causal",
        architecture="LlamaForCausalLM",
        modules=modules,
        blocks={name: name.rsplit(".", 2)[0] for name in modules},
        default_targets=("q_proj", "v_proj"),
        context_tokens=2048,
        vocabulary=100,
        parameters=1,
        size_bytes=4,
        digest="0" * 64,
        tokenizer_sha256="1" * 64,
        end_token="</s>",
        end_token_id=0,
        chat_template=None,
    )
