"""Rows in tokens as tensors, for memories that keep some. N rows, T tokens of all rows together."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from core.learning.rows import TokenRow

State = Mapping[str, Tensor]


def packed(rows: Sequence[TokenRow]) -> dict[str, Tensor]:
    """Return inputs and labels ``[T]`` int32, end to end, and where each row ends ``[N]``."""
    return {
        "input_ids": _flat([row.input_ids for row in rows]),
        "input_ends": _ends([row.input_ids for row in rows]),
        "labels": _flat([row.labels for row in rows]),
        "label_ends": _ends([row.labels for row in rows]),
    }


def unpacked(tensors: Mapping[str, Tensor]) -> list[TokenRow]:
    """Return the rows that `packed` took."""
    inputs, labels = (
        [flat[start:end] for start, end in pairwise([0, *tensors[ends].tolist()])]
        for flat, ends in ((tensors["input_ids"].tolist(), "input_ends"), (tensors["labels"].tolist(), "label_ends"))
    )
    return [TokenRow(ids, wanted) for ids, wanted in zip(inputs, labels, strict=True)]


def _flat(sequences: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.int32)


def _ends(sequences: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor(list(accumulate(len(sequence) for sequence in sequences)), dtype=torch.int64)
