"""A toy on which plain training forgets, and what each method makes of it.

The base knows the form of an answer: it was trained to repeat ``P<digit>`` and to answer any digit to the other letters.
A task is a letter and a permutation of the ten digits: ``Q3`` is answered ``7``. All rows fit one batch, and a task is
known by heart after 40 steps; the next one overwrites it, although the letters keep them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from core.learning import rows
from core.learning.lineage import Lineage
from core.learning.loss import target_loss
from core.learning.rows import Row
from core.weights import base
from core.weights.delta import Delta
from tests.tiny_models import tiny_llama

DIGITS = "0123456789"
STEPS = 40
_LETTERS = "QR"
_PRETRAINING_STEPS = 150


@dataclass(frozen=True)
class Outcome:
    """What two tasks came to: the first one's loss once learned and at the end, the second one's, and the deltas."""

    learned: float
    forgotten: float
    second: float
    chain: list[Delta]

    @property
    def near_zero(self) -> float:
        """The share of the entries of the last delta that are a hundred times smaller than its largest."""
        update = torch.cat([module.to_dense().flatten() for module in self.chain[-1].modules.values()]).abs()
        return float((update < update.max() / 100).float().mean())

    @property
    def size(self) -> float:
        """The norm of the last delta."""
        return float(torch.cat([module.to_dense().flatten() for module in self.chain[-1].modules.values()]).norm())


def task(number: int) -> list[Row]:
    answers = Random(number).sample(DIGITS, len(DIGITS))
    return [Row(_LETTERS[number] + digit, answers[place], tuple(DIGITS)) for place, digit in enumerate(DIGITS)]


def pretrained(folder: Path) -> Path:
    """Write the base model; return its folder."""
    loaded = base.load(tiny_llama(folder / "raw", initializer_range=0.15))
    network, random = loaded.model.train(), Random(0)
    torch.manual_seed(0)
    network.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(_PRETRAINING_STEPS):
        shown = [Row("P" + digit, digit) for digit in DIGITS]
        shown += [Row(letter + digit, random.choice(DIGITS)) for letter in "QRS" for digit in DIGITS]
        optimizer.zero_grad()
        mean_loss(network, loaded.tokenizer, shown).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.save_pretrained(folder / "base")
    loaded.tokenizer.save_pretrained(folder / "base")
    return folder / "base"


def mean_loss(network: Any, tokenizer: Any, shown: list[Row]) -> Tensor:
    """Return the loss a target token."""
    tokens = rows.tokenise(shown, tokenizer, "causal", max_source_tokens=16, max_target_tokens=8)
    targets = sum(label >= 0 for row in tokens for label in row.labels)
    return target_loss(network, rows.collate(tokens, pad=0), "causal") / targets


def learn_both(folder: Path, method: str, spec: Mapping[str, Any]) -> Outcome:
    """Learn one task after the other with ``method``."""
    loaded = base.load(folder)
    lineage = Lineage(loaded.model, loaded.tokenizer, method=method, device="cpu")

    @torch.no_grad()
    def loss(number: int) -> float:
        return float(mean_loss(loaded.model.eval(), loaded.tokenizer, task(number)))

    # Three thousandths is to full fine-tuning what one hundredth is to the factors: both learn a task in 40 steps.
    rate = 3e-3 if method == "seqft" else 1e-2
    training = {"max_steps": STEPS, "batch_size": 10, "max_target_tokens": 8, "learning_rate": rate}
    whole = {"training": training, "adapter": {"target_modules": "all-linear"}, **spec}
    lineage.learn(task(0), spec=whole)
    learned = loss(0)
    lineage.learn(task(1), spec=whole)
    return Outcome(learned, loss(0), loss(1), lineage.chain)
