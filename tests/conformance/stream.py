"""A stream of four tiny tasks whose rows all have the same number of tokens, and a model that learns them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.learning.catalogue.listing import memories_of
from core.learning.catalogue.parts import PARTS
from core.learning.catalogue.presets import PRESETS
from core.learning.lineage import Lineage
from core.learning.part import Axis, PartInfo
from core.learning.rows import Row
from core.weights import base

STEPS = 3
SPEC: dict[str, Any] = {
    "training": {"max_steps": STEPS, "batch_size": 4, "learning_rate": 5e-3, "max_target_tokens": 8}
}
# A reservoir that the first task fills.
SMALL_MEMORIES: dict[str, dict[str, Any]] = {"reservoir": {"capacity": 6}, "fisher": {"max_rows": 4}}


def task(number: int) -> list[Row]:
    digits = "0123456789"
    return [
        Row(f"{'QRST'[number - 1]}{digit}", digits[(3 * place + number) % 10], tuple(digits))
        for place, digit in enumerate(digits[:8])
    ]


def parts_of(method: str) -> list[PartInfo]:
    """Return every part of a preset."""
    preset = PRESETS[method]
    chosen: list[tuple[Axis, str]] = [
        ("adapter", preset.adapter),
        ("composition", preset.composition),
        *(("objective", name) for name in preset.objectives),
        *(("memory", name) for name in memories_of(preset)),
    ]
    return [PARTS[axis][name] for axis, name in chosen]


def spec_of(method: str, **training: Any) -> dict[str, Any]:
    memories = {name: given for name, given in SMALL_MEMORIES.items() if name in memories_of(PRESETS[method])}
    return SPEC | {"training": SPEC["training"] | training, "memories": memories}


def lineage_on(folder: Path, method: str) -> Lineage:
    loaded = base.load(folder)
    return Lineage(loaded.model, loaded.tokenizer, method=method, device="cpu")


def weights(network: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.named_parameters()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@torch.no_grad()
def logits(network: Any) -> Tensor:
    """Return what the network answers to fixed inputs."""
    ids = torch.arange(40, 58).view(3, 6)
    decoder = {"decoder_input_ids": ids[:, :3]} if network.config.is_encoder_decoder else {}
    answered: Tensor = network.eval()(input_ids=ids, **decoder).logits
    return answered.clone()
