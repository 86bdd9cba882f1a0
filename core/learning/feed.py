"""What each optimiser step sees: the plan's rows, dealt out in micro-batches over the processes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.learning.loss import IGNORED, Batch
from core.learning.plan import Plan
from core.learning.rows import TokenRow, collate


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of a run, step by step.

    Attributes:
        batch_size: rows of a micro-batch; a step's rows are dealt out in micro-batches, and those over the ranks.
        pad: the token that fills up short rows.
    """

    rows: Sequence[TokenRow]
    plan: Plan
    batch_size: int
    pad: int

    def batches(self, step: int, *, rank: int = 0, ranks: int = 1) -> list[Batch]:
        """Return the micro-batches of ``rank`` for optimiser step ``step``, counted from 0; like lengths together.

        There is always one: a rank that is left without rows takes part in every reduction with a row that asks for
        nothing.
        """
        rows = [self.rows[number] for number in self.plan.rows_of(step)]
        micro = in_batches(rows, self.batch_size, pad=self.pad)
        return micro[rank::ranks] or [_silent(micro[-1])]


def in_batches(rows: Sequence[TokenRow], batch_size: int, *, pad: int) -> list[Batch]:
    """Return rows in batches of like lengths, short ones first."""
    ordered = sorted(rows, key=len)
    cuts = range(0, len(ordered), batch_size)
    return [collate(ordered[first : first + batch_size], pad=pad) for first in cuts]


def _silent(batch: Batch) -> Batch:
    """Return the batch's first row without a target: its loss is 0, and so are its gradients."""
    labels_1T = torch.full_like(batch.labels_BT[:1], IGNORED)
    return Batch(batch.input_ids_BT[:1], batch.attention_mask_BT[:1], labels_1T)
