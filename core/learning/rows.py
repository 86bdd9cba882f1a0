"""Rendered rows, as a worker stages them, and how they become padded batches.

Prompt and target are tokenised apart; conversations and documents have rules of their own. B rows, T positions of the longest row of the batch.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.domain.base_facts import Family
from core.learning.conversations import ChatEncoder, Conversation, Turn
from core.learning.loss import IGNORED, Batch
from core.learning.packing import packed
from core.weights.tokens import encode_document, encode_prompt, encode_target


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
class Document:
    """A row that is nothing but text."""

    text: str


AnyRow = Row | Conversation | Document


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


def read(path: Path) -> list[AnyRow]:
    """Read JSON Lines as `core.datasets.materialise` writes them."""
    with path.open(encoding="utf-8") as file:
        return [_row(json.loads(line)) for line in file]


def _row(row: dict[str, Any]) -> AnyRow:
    if "turns" in row:
        return Conversation(tuple(Turn(**turn) for turn in row["turns"]))
    if "document" in row:
        return Document(row["document"])
    options, cut = row.get("options"), row.get("cut")
    return Row(
        row["prompt"],
        row["target"],
        None if options is None else tuple(options),
        None if cut is None else (cut[0], cut[1]),
    )


def tokenise(
    rows: Iterable[AnyRow],
    tokenizer: Any,
    family: Family,
    *,
    max_source_tokens: int,
    max_target_tokens: int,
) -> list[TokenRow]:
    """Tokenise each row once; what is too long is cut, and documents are packed into blocks of both limits together.

    Raises:
        InvalidError: the model's chat template cannot write a conversation.
    """
    chat = ChatEncoder(tokenizer, family, max_source_tokens, max_target_tokens)
    found: list[TokenRow] = []
    documents: list[list[int]] = []
    for row in rows:
        if isinstance(row, Conversation):
            found += [TokenRow(*labelled) for labelled in chat.rows(row.turns)]
        elif isinstance(row, Document):
            documents.append(encode_document(tokenizer, row.text))
        else:
            prompt = encode_prompt(tokenizer, row.prompt, family, max_tokens=max_source_tokens, cut=row.cut)
            found.append(
                TokenRow.of(prompt, encode_target(tokenizer, row.target, max_tokens=max_target_tokens), family)
            )
    blocks = packed(documents, block_tokens=max_source_tokens + max_target_tokens)
    return [*found, *(TokenRow(*block) for block in blocks)]


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
