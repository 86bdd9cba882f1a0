"""Rendered rows, as a worker stages them, and how they become padded batches.

Prompt and target are tokenised apart. B rows, T positions of the longest row of the batch.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.learning.loss import IGNORED, Batch
from core.weights.tokens import encode_prompt, encode_target


@dataclass(frozen=True, slots=True)
class Row:
    """One rendered row.

    Attributes:
        options: the labels to choose from, where the task has them.
        cut: the span of characters of the prompt that is shortened when the prompt is too long.
    """

    prompt: str
    target: str
    options: tuple[str, ...] | None = None
    cut: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row in tokens.

    Attributes:
        input_ids: what the model reads: for a causal model the targets too, for the others the source alone.
        labels: for a causal model as long as the input, the target tokens in their places and ``IGNORED`` elsewhere;
            for a sequence-to-sequence model the target.
    """

    input_ids: list[int]
    labels: list[int]

    @classmethod
    def of(cls, prompt: list[int], target: list[int], family: Family) -> "TokenRow":
        """Return the row of a prompt and what is to be answered to it."""
        if family == "seq2seq":
            return cls(prompt, target)
        return cls(prompt + target, [IGNORED] * len(prompt) + target)

    def __len__(self) -> int:
        return len(self.input_ids) + len(self.labels)


def read(path: Path) -> list[Row]:
    """Read JSON Lines of ``{"prompt", "target", "options"?, "cut"?}``."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            options, cut = row.get("options"), row.get("cut")
            rows.append(
                Row(
                    row["prompt"],
                    row["target"],
                    None if options is None else tuple(options),
                    None if cut is None else (cut[0], cut[1]),
                ),
            )
    return rows


def tokenise(
    rows: Iterable[Row],
    tokenizer: Any,
    family: Family,
    *,
    max_source_tokens: int,
    max_target_tokens: int,
) -> list[TokenRow]:
    """Tokenise each row once; what is too long is cut."""
    return [
        TokenRow.of(
            encode_prompt(tokenizer, row.prompt, family, max_tokens=max_source_tokens, cut=row.cut),
            encode_target(tokenizer, row.target, max_tokens=max_target_tokens),
            family,
        )
        for row in rows
    ]


def collate(rows: Sequence[TokenRow], *, pad: int) -> Batch:
    """Pad rows on the right to the longest of them."""
    inputs = [row.input_ids for row in rows]
    mask_BT = padded([[1] * len(ids) for ids in inputs], value=0)
    return Batch(padded(inputs, value=pad), mask_BT, padded([row.labels for row in rows], value=IGNORED))


def padded(sequences: Sequence[Sequence[int]], *, value: int, left: bool = False) -> Tensor:
    """Return ``[B, T]`` int64, filled up with ``value`` on the right, or on the left."""
    longest = max(len(sequence) for sequence in sequences)
    rows = []
    for sequence in sequences:
        filling = [value] * (longest - len(sequence))
        rows.append([*filling, *sequence] if left else [*sequence, *filling])
    return torch.tensor(rows, dtype=torch.int64)
